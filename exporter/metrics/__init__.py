"""Metrics for Prometheus: their definitions, their values, and what changes them."""
