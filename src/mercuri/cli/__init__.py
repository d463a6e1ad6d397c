"""Use cases, by terminal: parse, call, print, exit code. Modules here import what is slow only when it is needed."""
