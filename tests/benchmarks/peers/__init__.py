"""What people would use in place of Assay, written as they would write it with care: one script a peer.

Each is called as `python -m tests.benchmarks.peers.NAME LIST.json --mnist FILE --epochs N --seed N`
in a folder of its own, trains the list in its order, and ends with one line of JSON: the best
validation accuracy, the seconds of its search, the number of trials. What is in their favour: no
progress bars, and no more tracking than their users expect.
"""
