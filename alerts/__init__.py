"""The rules for Prometheus, made from the thresholds and the catalogue of metrics."""
