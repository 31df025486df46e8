"""What is asked for: experiments as TOML files, and requests of the command line and of Python."""
