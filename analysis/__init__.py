"""Figures and tables across runs."""

import attn_dynamics as attn_dynamics  # before libraries: it sees to Ctrl-C and to the backend of Matplotlib
