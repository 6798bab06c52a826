"""The benchmarks: how fast, how small and how prompt the exporter is, as ratios within one run."""
