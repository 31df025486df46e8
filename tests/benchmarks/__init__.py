"""Benchmark of Assay and of comparable tools.

`make bench` runs it and prints a table. It is not a test: it takes about an hour on a quiet
machine. A measure is a module with a function `rows(quick) -> Iterator[Row]`, or `rows(quick,
repeats)` if it measures in rounds. A measure with `NEEDS_MNIST = True` requires the file of the
real MNIST. The extra `bench` installs the other tools.
"""
