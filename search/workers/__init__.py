"""Worker processes of this machine: the fork server, the workers, and the executor."""
