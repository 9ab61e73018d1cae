"""A seeded campaign of bad input against all commands and the Python API: `python -m fuzz`."""

import attn_dynamics  # noqa: F401  (before the libraries whose import takes long: Ctrl-C then ends it in one line)
