"""What this machine's kernel tells of OOM kills and other ends of processes."""
