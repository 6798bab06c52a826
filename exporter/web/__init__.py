"""The web side: the API, the metrics, and whether all is well."""
