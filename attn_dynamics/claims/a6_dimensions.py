"""Embeddings move in as many dimensions as there are classes (theory A6)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attn_dynamics.claims._support.drawn import corpora, start, where
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array, TrainedLinear, TwoLayer
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.descent import descend
from attn_dynamics.training.flow import flow
from attn_dynamics.training.run import Run

RTOL = 1e-13
"""Relative tolerance of a step of the solver."""
ROUNDED = 2.0 * np.finfo(float).eps
"""Round-off of an epoch, which rounds the gradient and the step."""
RATE = 0.1
"""Learning rate η."""
Span = Callable[[Parameters], Array]
"""Function from a start to columns (d, ·), whose span should hold every move of the embeddings."""


def columns(begin: Parameters) -> Array:
    """Return the head's first layer at the start: U₀ (d, n), or U₁,₀ (d, h) of Attn-TL."""
    return begin.head.first_layer


@claims(
    "A6",
    control("the span of other columns", span=lambda begin: columns(begin)[::-1]),
    control("the span of all columns but one", span=lambda begin: columns(begin)[:, 1:]),
    control("Attn-TC and Attn-TL do not start from E = 0", zero=False),
    control("UᵀU is lost", reduce=lambda begin: without_gram(begin)),
    name="n - 1 dimensions move",
    foundations=("M3", "M4", "M5"),
    statement=r"\mathrm{Attn{-}FC}: P = E U,\ \dot{P} = -A^T (\partial L/\partial z) U^T U;\quad "
    r"\mathrm{Attn{-}TC}, E(0) = 0: E = B U_0^T,\ U = U_0 R;\quad "
    r"\mathrm{Attn{-}TL}, E(0) = 0: E = B U_{1,0}^T,\ U_1 = U_{1,0} R",
    assumptions="a fixed linear head, or any head whose first layer is trained from E(0) = 0",
    quantity="runs apart: distance between a run of Attn-FC in n - 1 dimensions and the same run in d. Off the span: "
    "part of the moves of E and of the first layer off the span of that layer's start. It is measured by largest "
    "singular values, as a share of the whole move. Both are taken under descent and flow, for Attn-TL under descent",
    tolerance="2 · 2⁻⁵² an epoch, which rounds the gradient and the step",
)
def closed_in_classes(
    *,
    quick: bool,
    span: Span = columns,
    zero: bool = True,
    reduce: Callable[[Parameters], Parameters] = lambda begin: begin,
) -> Measured:
    """Measure each head in more dimensions than it has classes or hidden units."""
    apart, off, ranks, rounded = 0.0, 0.0, set[int](), ROUNDED * epochs(quick)
    for corpus in corpora(quick=quick):
        fixed, *trained = (start(corpus, model, d=8) for model in ("attn-fc", "attn-tc", "attn-tl"))
        pairs = zip(runs(corpus, reduce(fixed), quick), runs(corpus, fixed, quick, reduced=False), strict=True)
        for reduced, full in pairs:
            apart = largest(apart, _distance(reduced, full))
            off = largest(off, _off(fixed, full, span(fixed))[0])
        for begin in trained:
            if zero:
                begin = replace(begin, embeddings=np.zeros_like(begin.embeddings))
            for run in runs(corpus, begin, quick):
                share, rank = _off(begin, run, span(begin))
                off = largest(off, share)
                if isinstance(begin.head, TrainedLinear):
                    ranks |= {rank - corpus.n_classes}
    note = f"Attn-TC moved in n{', n'.join(f'{rank:+}' for rank in sorted(ranks))} dimensions"
    return together(
        f"{note}; {where(quick=quick)}",
        runs_apart=Measured(apart, rounded, within=SCATTER),
        off_the_span=Measured(off, rounded, within=SCATTER),
    )


def without_gram(begin: Parameters) -> Parameters:
    """Return a start with the same P = E U, whose head has orthonormal columns, so that UᵀU = 1."""
    basis = np.linalg.qr(columns(begin))[0]
    head = begin.head.replace(**{begin.head.first: basis})
    return replace(begin, embeddings=begin.embeddings @ columns(begin) @ basis.T, head=head)


def epochs(quick: bool) -> int:
    """Return the number of epochs of descent."""
    return 20 if quick else 200


def runs(corpus: Corpus, begin: Parameters, quick: bool, *, reduced: bool = True) -> list[Run]:
    """Run descent, and flow to the same time.

    Attn-TL descends only, because its flow may stick at a kink of the relu.
    """
    descended = descend(corpus, begin, epochs=epochs(quick), learning_rate=RATE, reduced=reduced)
    if isinstance(begin.head, TwoLayer):
        return [descended]
    return [descended, flow(corpus, begin, times=[RATE * epochs(quick)], rtol=RTOL, atol=RTOL / 10, reduced=reduced)]


def _distance(first: Run, second: Run) -> float:
    """Return the largest distance between the losses along two runs, and between their final keys and embeddings."""
    one, other = first.parameters, second.parameters
    assert one is not None
    assert other is not None
    losses = np.abs(first.trajectory.train_loss.values - second.trajectory.train_loss.values).max()
    parts = (np.abs(getattr(one, name) - getattr(other, name)).max() for name in ("keys", "embeddings"))
    return largest(float(losses), *map(float, parts))


def _off(begin: Parameters, run: Run, span: Array) -> tuple[float, int]:
    """Return the largest share of the moves of E and of the first layer off a span, and the dimensions that E used."""
    end = run.parameters
    assert end is not None
    basis, shares, sizes = np.linalg.qr(span)[0], [0.0], np.zeros(1)
    for moved in (columns(end) - columns(begin), (end.embeddings - begin.embeddings).T):
        sizes = np.linalg.svd(moved, compute_uv=False)
        shares.append(np.linalg.norm(moved - basis @ (basis.T @ moved), 2) / max(sizes[0], np.finfo(float).tiny))
    return float(largest(shares)), int((sizes > 1e-10 * sizes[0]).sum())
