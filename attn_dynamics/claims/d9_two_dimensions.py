"""Bell in any attention kernel by two further dimensions of queries and keys (theory D9)."""

import numpy as np
from scipy.special import softmax

from attn_dynamics.claims._support.window_drawn import covariance
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.window.low_rank import features, width_gradient

LONG, WIDTH, BLOCK = 16_384, 5.0, 128
"""Number of tokens of a long sequence, width σ in it, and number of queries taken together."""


@claims(
    "D9",
    control("positions are not centred", centred=False),
    control("the square of the key's place is left out", keep=(1.0, 0.0)),
    control("the product of the places is taken off", keep=(-1.0, 1.0)),
    name="bell by 2 dimensions",
    statement=r"-\frac{(i-j)^2}{2\sigma^2} = -\frac{i^2}{2\sigma^2} + \frac{i\,j}{\sigma^2} - \frac{j^2}{2\sigma^2}",
    assumptions="renormalised placement. In float32, positions are counted from near the block of queries",
    quantity="largest distance of attention weights with two further dimensions from those with the bell. Float64 and "
    "float32: over 64 tokens. Long float32: for the last 128 queries of 16,384 at σ = 5. Gradient: relative distance "
    "of ∂L/∂σ through the dimensions from the exact one",
    tolerance="float64: 1e-13, and gradient: 1e-12, the round-off of the largest product, 64²/2σ². Float32: 1e-5, from "
    "2⁻²⁴ of that product. Long float32: 1e-5, from 2⁻²⁴ of what cancels for tokens within some σ of a query",
)
def further_dimensions(*, quick: bool, centred: bool = True, keep: tuple[float, float] = (1.0, 1.0)) -> Measured:
    """Measure drawn queries and keys of eight dimensions, to which the bell adds two."""
    short = np.arange(64.0)
    far = np.arange(float(LONG - BLOCK), LONG)
    near = np.arange(float(LONG - 8 * BLOCK) if quick else 0.0, LONG)
    centre = float(far.mean()) if centred else 0.0
    return together(
        float64=Measured(_apart(short, short, np.float64, 0.0, keep), 1e-13, within=SCATTER),
        gradient=Measured(_gradient_apart(short, keep), 1e-12, within=SCATTER),
        float32=Measured(_apart(short, short, np.float32, 0.0, keep), 1e-5, within=SCATTER),
        long_float32=Measured(_apart(far, near, np.float32, centre, keep), 1e-5, within=SCATTER),
    )


def _scores(i: Array, j: Array, kind: type) -> tuple[Array, Array]:
    """Draw queries (i, 8) and keys (j, 8) whose scores have a spread near one."""
    rng = np.random.default_rng(0)
    return tuple((rng.standard_normal((each.size, 8)) / 8**0.5).astype(kind) for each in (i, j))  # pyright: ignore


def _apart(i: Array, j: Array, kind: type, centre: float, keep: tuple[float, float]) -> float:
    """Return the largest distance between the attention weights of queries at i to keys at j, computed both ways."""
    query, key = _scores(i, j, kind)
    more = features(i, j, WIDTH, centre=centre, kind=kind)
    ours = softmax(np.hstack([query, more.queries * np.array(keep, kind)]) @ np.hstack([key, more.keys]).T, axis=1)
    bell = -0.5 * ((i[:, None] - j) / WIDTH) ** 2
    return float(np.abs(ours - softmax(query.astype(float) @ key.astype(float).T + bell, axis=1)).max())


def _gradient_apart(i: Array, keep: tuple[float, float]) -> float:
    """Return the relative distance of ∂L/∂σ through the dimensions from D2, for L = Σ_ij α_ij h_ij with drawn h."""
    query, key = _scores(i, i, np.float64)
    more = features(i, i, WIDTH)
    alpha = softmax(query @ key.T + (more.queries * np.array(keep)) @ more.keys.T, axis=1)
    work, square = np.random.default_rng(2).standard_normal(alpha.shape), (i[:, None] - i) ** 2.0
    slopes = alpha * (work - (alpha * work).sum(axis=1, keepdims=True))
    exact = softmax(query @ key.T - 0.5 * square / WIDTH**2, axis=1)
    theirs = WIDTH**-3 * sum(map(covariance, exact, square, work))
    return abs(width_gradient(i, i, WIDTH, slopes) / theirs - 1.0)
