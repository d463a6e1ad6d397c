"""Use cases, later: the only package that knows the job engine."""
