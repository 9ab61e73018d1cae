"""python -m attn_dynamics: its commands."""

import sys
from pathlib import Path

from attn_dynamics.commands.listing import list_commands

MORE = "More are in the checkout alone: python -m simulations and python -m analysis list them."

if __name__ == "__main__":
    sys.exit(list_commands(Path(__file__).parent, sys.argv[1:], MORE))
