"""
What breaks, on purpose: `make chaos` runs every fault against the processes that users run, on loopback.

A module a fault. Its `measure(random, …)` breaks things and yields figures; its numbers are the
full run's, and `SHORT` those of the run in CI.
"""
