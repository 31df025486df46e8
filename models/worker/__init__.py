"""What a worker process runs: trainers, the specification of a trial, and what is kept between
trials.
"""
