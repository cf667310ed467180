"""What `benchmarks.realm` measures, a part each."""
