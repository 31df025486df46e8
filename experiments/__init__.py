"""The suite: experiments as files, data sets, MLflow tracking, results, and the command line."""
