"""What Assay costs, beside what people would otherwise use: `make bench` runs it all and prints a table.

No test: it takes the better part of an hour on a quiet machine. A measure is a module with a
function `rows(quick) -> Iterator[Row]`, or `rows(quick, repeats)` if it compares round by round;
with `NEEDS_MNIST = True` it is not begun without the real MNIST. What it needs of other libraries
is the extra `bench`.
"""
