"""``python -m direid``, the command line; torchrun starts it so."""

import sys

from direid.cli import main

if __name__ == "__main__":
    sys.exit(main())
