"""Import of Matplotlib whatever backend the environment names, because Agg draws every figure.

A notebook's `!python -m …` inherits a backend that the called Python may lack. The import of Matplotlib then fails.
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
