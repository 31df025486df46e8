"""Preflight check: what can be wrong with a user's model before it is trained.

    check           runs the checks below, and returns the facts
    shared_state    variables that trials of one process would share
    outputs         what the model gives, and what its loss takes
    inputs          inputs that are scaled twice, or used as indices
    saving          whether the model can be saved and loaded
    user_code       the files that the user's code consists of

Each check looks at variables, outputs and numbers. None looks at names or source text.
"""
