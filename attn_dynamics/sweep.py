"""The command: every combination of the settings given, in one table.

python -m attn_dynamics.sweep --model attn-fc attn-tc --seed 0 1 2 3 4

Re-exports `main` from commands/sweep/command.py.
"""

import sys

from attn_dynamics.commands.sweep.command import main

if __name__ == "__main__":
    sys.exit(main())
