"""How fast and how large training steps are, beside plain ones and what the machine can do."""
