"""Compiled loops on plain arrays; nothing here knows of the rest of the project."""

import numba

# Off by numba's default. It turns the four columns of the sparse products into one vector.
numba.config.SLP_VECTORIZE = 1  # pyright: ignore
