"""Export of failed jobs over OTLP: what is sent, how it is configured, and the worker that sends it."""
