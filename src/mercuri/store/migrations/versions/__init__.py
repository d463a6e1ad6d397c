"""One module per step.

The first one makes a new database with all of today's tables. So each later step looks what is missing before it acts,
and does nothing there.
"""
