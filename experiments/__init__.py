"""The suite: experiments as files, data sets, MLflow tracking, provenance, and the command line.

The only package that knows MLflow.
"""
