"""`python -m steadygrad`."""

from .cli import main

main()
