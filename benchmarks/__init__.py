"""How fast the package is, in ratios within one run. ``python -m benchmarks --help``; see docs/benchmarks.md."""
