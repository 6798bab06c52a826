"""dstack's server: what it alone knows of jobs, asked over its REST API. Written against dstack 0.22.5."""
