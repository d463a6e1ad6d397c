"""Use cases, by terminal: parse, call, print, exit code."""
