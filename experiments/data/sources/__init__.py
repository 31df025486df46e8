"""The sources of data sets, one module each.

To add a source:

1. Write a module here with a subclass of `base.Source`, and a function that returns an instance of
   it: see `locate_folder` in `image_folder.py`. If its arrays can be of any size, `load` passes
   their sizes to `check_capacity` before it reads one.
2. Add an entry to `SOURCES` in `assay/experiments/data/registry.py`. The names, the keys, the task
   and the error messages of `[data]`, and what `assay list datasets` prints, come from that entry.

A key of `[data]` that no other source has is also a field of `DataSettings`. A published data set
is an entry of `PUBLISHED_SETS` in `published.py`, a generated one an entry of `POINTS` or
`FUNCTIONS` in `toy_sets.py`; neither needs anything else.
"""
