"""What a worker process runs: trainers, the specification of a trial, caches between trials."""
