"""Spans of failed jobs: which, what is in them, and how a collector is told."""
