"""What networks compute and how they learn, for experiments about networks themselves."""
