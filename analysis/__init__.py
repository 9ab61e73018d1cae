"""Figures and tables across runs; run from the checkout."""

import attn_dynamics  # noqa: F401  (before the libraries whose import takes long: Ctrl-C then ends it in one line)
