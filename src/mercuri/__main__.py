"""`python -m mercuri` is the command line."""

from mercuri.cli.main import main

main()
