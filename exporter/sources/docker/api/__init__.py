"""Engines: a port, and an adapter for each kind."""
