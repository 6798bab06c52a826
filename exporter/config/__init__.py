"""Settings, YAML files with line numbers, durations, logging."""
