"""What versions before left behind, which this one must go on with."""
