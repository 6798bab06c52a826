"""Export over OTLP: configuration, selection, encoding, and clients."""
