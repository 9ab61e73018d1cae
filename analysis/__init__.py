"""Figures and tables across runs; run from the checkout."""

import attn_dynamics as attn_dynamics  # before libraries: it sees to Ctrl-C and to the backend of Matplotlib
