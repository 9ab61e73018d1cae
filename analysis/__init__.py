"""Figures and tables across runs; run from the checkout."""

import attn_dynamics as attn_dynamics  # which sees to the backend of Matplotlib before it is imported
