"""Benchmarks: ratios to smmap and to the bare operation, measured side by side in one process."""
