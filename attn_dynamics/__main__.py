"""python -m attn_dynamics: its commands."""

import sys
from pathlib import Path

from attn_dynamics.commands.listing import list_commands

MORE = "The console script attn-dynamics lists more: proofs, verdicts, experiments, figures."

if __name__ == "__main__":
    sys.exit(list_commands(Path(__file__).parent, sys.argv[1:], MORE))
