"""What the parts without I/O of their own promise, one file of tests for each of them."""
