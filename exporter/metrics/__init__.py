"""What Prometheus reads: the catalogue of metrics, their values, and their form."""
