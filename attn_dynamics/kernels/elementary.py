"""The functions e^x and ln(1 + x), without branches, so that loops over them become vector instructions."""

import numpy as np

from attn_dynamics.kernels import leaf

# ln 2 in two parts: the first has few enough digits that its product with an exponent is exact (Cody and Waite).
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634
ROUNDER = 1.5 * 2.0**52
"""Number whose sum with a number below 2⁵¹ has the nearest integer in its last bits."""
LEAST = -800.0
"""Exponent at which and below which e^x is 0 in float64."""
DIGITS = np.uint64(52)
"""Number of bits of a float64's fraction. The exponent field, which holds the exponent of two plus 1023, begins above
them."""
LIFT = np.uint64(2048)
"""Even number added to an exponent of two. It makes the sum positive, and each half of it an exponent field plus 1."""
EXPONENT = np.uint64(2 * 2048 - 1)
"""Mask of the bits that an exponent of two with `LIFT` added may have."""
ONE = np.uint64(1)
"""Integer 1 of the type of bits."""
TWICE_ZERO = np.uint64(2 * 1023)
"""Twice the exponent field of 1; subtracting the field of 2^e from it gives that of 2^-e."""
HALF_ROOT = np.uint64(0x3FF0_0000_0000_0000 - 0x3FE6_A09E_6000_0000)
"""Difference between 1 and √½ as bits. Added to their bits, it gives numbers from √½ 2^e to √2 2^e the field of 2^e."""


@leaf
def exponential(x):
    """Return e^x for x up to 700, to 2 units in the last place, with gradual underflow."""
    x = max(x, LEAST)
    shifted = x * LOG2_E + ROUNDER
    exponent = shifted - ROUNDER
    r = (x - exponent * LN2_HIGH) - exponent * LN2_LOW
    # Taylor's series to r¹³: |r| ≤ ln 2 / 2 leaves 4e-18.
    tail = 1 / 39916800 + r * (1 / 479001600 + r * (1 / 6227020800))
    tail = 1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * tail))
    tail = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * tail))
    power = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * tail))))
    # Two factors of about half the exponent each, because 2^exponent may be too small for one.
    lifted = (np.float64(shifted).view(np.uint64) + LIFT) & EXPONENT
    half = lifted >> ONE
    power *= np.uint64((half - ONE) << DIGITS).view(np.float64)
    return power * np.uint64((lifted - half - ONE) << DIGITS).view(np.float64)


@leaf
def log1p(x):
    """Return ln(1 + x) for x from 0 to 2⁵², to 2 units in the last place."""
    total = 1.0 + x
    lost = x - (total - 1.0)
    exponent = (np.float64(total).view(np.uint64) + HALF_ROOT) >> DIGITS
    # 1 + x = 2^e (1 + f), with 1 + f between √½ and √2; f is x itself where e is 0.
    scale = np.uint64((TWICE_ZERO - exponent) << DIGITS).view(np.float64)
    f = (total * scale - 1.0) + lost * scale
    e = np.float64(np.int64(exponent)) - 1023.0
    # ln(1 + f) = 2 artanh u, u = f / (2 + f), by Taylor's series to u²¹: |u| ≤ 0.172 leaves 1e-18 of it.
    u = f / (2.0 + f)
    square = u * u
    tail = 1 / 15 + square * (1 / 17 + square * (1 / 19 + square * (1 / 21)))
    tail = 1 / 9 + square * (1 / 11 + square * (1 / 13 + square * tail))
    tail = square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * tail)))
    # 2u = f - f²/2 + u f²/2, so that the quotient enters at second order only.
    half = 0.5 * f * f
    return e * LN2_HIGH + (f - (half - (u * (half + 2.0 * tail) + e * LN2_LOW)))
