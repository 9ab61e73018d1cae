"""python -m attn_dynamics: its commands."""

import sys
from pathlib import Path

from attn_dynamics.listing import list_commands

if __name__ == "__main__":
    sys.exit(list_commands(Path(__file__).parent, sys.argv[1:]))
