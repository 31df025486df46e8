"""Pictures of a study, drawn with matplotlib from what is known of it.

Whoever imports a file of this package waits for matplotlib: `experiments.figures.shown` does so when a picture is
asked for.
"""
