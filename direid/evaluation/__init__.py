"""How well a trained network finds people again: features, ranks, reports."""
