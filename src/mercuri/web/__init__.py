"""Use cases, by browser."""
