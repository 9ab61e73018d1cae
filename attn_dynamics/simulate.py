"""The command: one run, or replicates of it, with its results in a folder.

python -m attn_dynamics.simulate --model attn-tc

Re-exports `main` from commands/simulate.py.
"""

import gc
import sys

if __name__ == "__main__":
    gc.set_threshold(500_000)  # imports make few cycles, and frequent searches for them take a tenth of a short run
    # Numba, xarray and pandas load these where they are installed, which takes a tenth of a short run that uses none.
    for unused in ("coverage", "dask", "pyarrow"):
        sys.modules.setdefault(unused, None)  # pyright: ignore[reportArgumentType]

from attn_dynamics.commands.simulate import main

if __name__ == "__main__":
    sys.exit(main())
