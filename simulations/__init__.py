"""The experiments of the literature, each a short script over the library: `python -m simulations.NAME --quick`."""

import attn_dynamics  # noqa: F401  (before the libraries whose import takes long: Ctrl-C then ends it in one line)
