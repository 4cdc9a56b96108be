"""How true and how fast firsttoken is on this machine; `python tests/benchmarks --help`."""
