"""Settings, YAML files with line numbers, durations and logging."""
