"""The operating system: files, locks, signals, URLs of stores, and hardware."""
