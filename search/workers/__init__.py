"""Worker processes on this machine: the nursery that forks them, what they run, and the executor
that drives them.
"""
