"""Why did my container exit? Codes and reasons of ended container jobs, by evidence."""

__version__ = "0.1.0"
