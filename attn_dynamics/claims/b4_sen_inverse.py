"""Inverse of the SEN relation (theory B4)."""

import numpy as np
from scipy.special import lambertw, wrightomega

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.sen import ALONG_FLOW, OF_FLOW, SMOOTH, Relation, along_flow
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.sen import sen_norm, sen_score


def by_omega_alone(norm: Array, m: float, q: float, s0: Array | float = 0.0, norm0: Array | float = 0.0) -> Array:
    """Return the inverse s = c - ω(c - ln m) as stated, which cancels near the start."""
    c = s0 + np.exp(s0) / m + 0.5 * q**2 * (norm**2 - norm0**2)
    return c - wrightomega(c - np.log(m)).real


def by_lambert(norm: Array, m: float, q: float, s0: Array | float = 0.0, norm0: Array | float = 0.0) -> Array:
    """Return the inverse by Lambert's W of e^c/m, which overflows where Wright's ω(c - ln m) does not."""
    c = s0 + np.exp(s0) / m + 0.5 * q**2 * (norm**2 - norm0**2)
    with np.errstate(over="ignore", invalid="ignore"):
        return c - lambertw(np.exp(c) / m).real


@claims(
    "B4",
    control("m + 1 other words", inverse=lambda norm, m, *rest: sen_score(norm, m + 1, *rest)),
    control("m is lost", inverse=lambda norm, m, *rest: sen_score(norm, 1.0, *rest)),
    control("Lambert's W of e^c/m, which overflows, for ω", inverse=by_lambert),
    control("c - ω alone, which cancels near the start", inverse=by_omega_alone),
    name="inverse of SEN",
    foundations=("B1",),
    statement=r"s = c - \omega(c - \ln m), \ c = s_0 + e^{s_0}/m + \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2)",
    assumptions="as B1",
    quantity="largest ratio of an error to its tolerance. There and back: error of s after the relation and its "
    "inverse, for s from 1e-20 to 25. Norms: error of ‖ν‖ after the inverse and the relation, for ‖ν‖ from 1e-12 to "
    "1e6. Flow: distance of s along gradient flow from the inverse of ‖ν‖",
    tolerance="there and back: 4 ε, relative. Norms: 4 ε (1 + |s|), relative, because ‖ν‖ grows like e^{s/2}. Flow: 30 "
    "rtol (1 + |s|), where rtol = 1e-11 is the solver's tolerance per step. ε = 2⁻⁵²",
)
def closed_inverse(*, quick: bool, inverse: Relation = sen_score) -> Measured:
    """Measure a grid of s, ‖ν‖, m and ‖q‖, and flow from keys and embeddings other than zero."""
    eps, points = 4 * EPS, 50 if quick else 1000
    m, q = np.array([1.0, 3.0, 20.0, 1e3, 1e5])[:, None, None], np.array([0.3, 1.0, 3.0])[:, None]
    score, norm = np.geomspace(1e-20, 25.0, points), np.geomspace(1e-12, 1e6, points)
    found = inverse(norm, m, q)
    there_and_back = np.abs(inverse(sen_norm(score, m, q), m, q) - score) / score
    norms = np.abs(sen_norm(found, m, q) / norm - 1.0) / (1.0 + np.abs(found))
    flowed = [
        np.abs(inverse(norm, m, q, score[0], norm[0]) - score) / (1.0 + np.abs(score))
        for m, q, score, norm in (along_flow(model, m) for model in SMOOTH for m in (1, 3))
    ]
    return together(
        there_and_back=Measured(float(there_and_back.max()), eps, within=SCATTER),
        norms=Measured(float(norms.max()), eps, within=SCATTER),
        flow=Measured(float(np.max(flowed)), ALONG_FLOW, within=OF_FLOW),
    )
