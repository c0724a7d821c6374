"""Measuring: workloads, offline and serving runs, statistics, and what becomes of the numbers."""
