"""The metrics: their values, and their text."""
