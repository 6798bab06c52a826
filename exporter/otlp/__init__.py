"""Traces: a span for each failed job, and the worker that delivers them."""
