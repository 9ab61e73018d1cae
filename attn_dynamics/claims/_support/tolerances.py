"""Precision of float64, and of the solver that follows a flow."""

import numpy as np

EPS = float(np.finfo(float).eps)
"""Round-off ε = 2⁻⁵²."""
RTOL = 1e-11
"""Relative tolerance of a step of the solver."""
