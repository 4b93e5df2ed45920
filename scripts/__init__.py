"""What makes the book: its outputs, its picture, its first cells."""
