"""The three stages: identity (0), degradation invariance (1), dual features (2), and their loop."""
