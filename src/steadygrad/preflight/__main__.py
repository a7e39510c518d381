"""`python -m steadygrad.preflight MODULE:FACTORY`: the child of `steadygrad check` that loads torch and the model."""

import sys

from .factory import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
