"""From the events of one engine to jobs that began or ended."""
