"""The experiments of the literature, each a short script over the library: `python -m simulations.NAME --quick`."""

import attn_dynamics as attn_dynamics  # which sees to the backend of Matplotlib before it is imported
