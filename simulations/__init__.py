"""The experiments of the literature, each a short script over the library."""

import attn_dynamics as attn_dynamics  # before libraries: it sees to Ctrl-C and to the backend of Matplotlib
