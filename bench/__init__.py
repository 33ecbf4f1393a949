"""Benchmarks: ratios and added times of one run, on loopback, bounded in count and time."""
