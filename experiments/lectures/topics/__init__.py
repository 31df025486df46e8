"""One module per lecture experiment; each defines EXPERIMENT."""
