"""Export: a study's network as one file for use elsewhere, with the lines that use it.

- `export`: which model, where to, and what is refused.
- `convert`: the process that converts it, which imports Keras.
- `lines`: the program that is written beside the file.
"""
