"""The one thread through which every exit goes."""
