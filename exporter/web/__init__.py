"""HTTP server: the API, the metrics, liveness and readiness."""
