"""python -m simulations: its commands."""

import sys
from pathlib import Path

from attn_dynamics.commands.listing import list_commands

if __name__ == "__main__":
    sys.exit(list_commands(Path(__file__).parent, sys.argv[1:]))
