"""Benchmarks: figures beside a baseline of the same run. `python -m benchmarks NAME` runs one."""
