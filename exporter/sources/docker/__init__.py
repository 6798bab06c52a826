"""Docker-compatible engines as a source of exits."""
