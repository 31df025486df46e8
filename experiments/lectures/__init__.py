"""The lectures' claims as experiments: `assay lectures`."""
