"""Decisions: values in, values out. No I/O, clock, chance or logging."""
