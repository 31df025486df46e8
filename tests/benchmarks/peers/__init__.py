"""Peers of Assay: one script per tool.

The scripts are written as a careful user would write them. The benchmark calls each as `python -m
tests.benchmarks.peers.NAME LIST.json --mnist FILE --epochs N --seed N` in a folder of its own. The
script trains the list in order, and prints one line of JSON at the end: the best validation
accuracy, the seconds of the search, and the number of trials. Two choices favour the peers: no
progress bars, and no more tracking than their users expect.
"""
