"""Programs that run a job inside a container and outlive it: a module for each."""
