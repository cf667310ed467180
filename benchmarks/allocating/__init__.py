"""How well units share out tasks: parts of `benchmarks/allocation.py`."""
