"""Rules for Prometheus, generated from the thresholds and the metric definitions."""
