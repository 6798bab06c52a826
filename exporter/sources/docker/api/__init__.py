"""Adapter for the Docker Engine API."""
