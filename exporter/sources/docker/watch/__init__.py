"""Watching one engine: its events, its list of containers, and inspections."""
