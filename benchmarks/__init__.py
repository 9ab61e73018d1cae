"""How long training takes, beside PyTorch and JAX, and by size."""

import attn_dynamics  # noqa: F401  (before the libraries whose import takes long: Ctrl-C then ends it in one line)
