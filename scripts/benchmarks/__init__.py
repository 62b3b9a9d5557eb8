"""What `scripts/benchmark.py` runs: each module compares one part of the package with what it could cost at least."""
