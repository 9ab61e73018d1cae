"""Verdicts on claims, pages of the site, comparisons of runs, and figures of the theory."""

import attn_dynamics as attn_dynamics  # before libraries: it sees to Ctrl-C and to the backend of Matplotlib
