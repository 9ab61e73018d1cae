"""Matplotlib, imported whatever backend the environment names: every figure here is drawn by Agg.

A notebook's `!python -m …` inherits a backend that the Python it calls may lack, and importing Matplotlib fails then.
"""

import os
import sys

try:
    import matplotlib
except ValueError:
    os.environ.pop("MPLBACKEND", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        del sys.modules[name]
    import matplotlib  # noqa: F401
