"""Benchmarks of speed, memory and delay, as ratios within one run."""
