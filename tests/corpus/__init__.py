"""Ways to die, a file for each: see README.md."""
