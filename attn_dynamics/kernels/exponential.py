"""The exponential e^x of a short array in vector instructions, which calls of the usual function do not become."""

import numpy as np
from numba import njit

from attn_dynamics.kernels import kernel

# ln 2 in two parts: the first has few enough digits that its product with an exponent is exact (Cody and Waite).
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634
ROUNDER = 1.5 * 2.0**52
"""Number that, added to one of moderate size, leaves the nearest integer in the last bits."""
LEAST = -700.0
"""Smallest x of the fast path; below it e^x nears the subnormal numbers and the usual function is called."""


@kernel
def exponentials(x, scratch, bits):
    """Replace x by e^x in place for x up to 700, to 2 units in the last place; `bits` is `scratch` seen as int64."""
    deep = 0
    for place in range(x.size):
        deep += x[place] < LEAST
    if deep == 0:
        _within_range(x, scratch, bits)
        return
    given = x.copy()
    _within_range(x, scratch, bits)
    for place in range(x.size):
        if given[place] < LEAST:
            x[place] = np.exp(given[place])


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _within_range(x, scratch, bits):
    """Replace x by e^x in place; x below `LEAST` counts as `LEAST`."""
    for place in range(x.size):
        scratch[place] = max(x[place], LEAST) * LOG2_E + ROUNDER
    for place in range(x.size):
        exponent = scratch[place] - ROUNDER
        r = (max(x[place], LEAST) - exponent * LN2_HIGH) - exponent * LN2_LOW
        # Taylor's series to r¹³: |r| ≤ ln 2 / 2 leaves 4e-18.
        tail = 1 / 39916800 + r * (1 / 479001600 + r * (1 / 6227020800))
        tail = 1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * tail))
        tail = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * tail))
        x[place] = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * tail))))
    for place in range(x.size):
        bits[place] = (bits[place] << 52) + (1023 << 52)
    for place in range(x.size):
        x[place] *= scratch[place]
