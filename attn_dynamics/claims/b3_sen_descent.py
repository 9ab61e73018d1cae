"""SEN relation under descent, up to an error of order η (theory B3)."""

from functools import cache

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims._support.sen import (
    ALL_TRAINED,
    FLOW_TIME,
    ONE_MORE,
    WITHOUT_HALF,
    Followed,
    Relation,
    farthest_from,
    followed,
    start_of_topic_words,
    topic_words_among,
)
from attn_dynamics.claims.claim import Measured, claims, largest
from attn_dynamics.model.heads import HEADS
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.descent import descend


@claims(
    "B3",
    ONE_MORE,
    WITHOUT_HALF,
    ALL_TRAINED,
    name="SEN under descent",
    foundations=("B1",),
    statement=r"\frac{\|\nu(\tau)\|}{\|\nu\|_{\mathrm{SEN}}(s(\tau))} - 1 = O(\eta)",
    assumptions="as B1, for every head, under gradient descent with learning rate η to a fixed time τ. Scores, "
    "embeddings and gradients stay bounded as η → 0",
    quantity="largest |order - 1| over heads, where the distance of ‖ν‖ from the SEN relation goes like η^order",
    tolerance="0.03. The order is a fitted slope of logarithms, which the next order in η bends by some tenths of the "
    "largest η, 0.1",
)
def order_of_descent(*, quick: bool, relation: Relation = sen_norm, hold: bool = True) -> Measured:
    """Measure the order in η of descent's own error; the flow itself keeps the relation."""
    rates, orders = [0.1 / 2**halvings for halvings in range(3 if quick else 6)], {}
    for model in HEADS:
        distances = [farthest_from(_descended(model, rate, hold), relation) for rate in rates]
        orders[model] = power_law(rates, distances).exponent
    detail = ", ".join(f"{model} {order:.3f}" for model, order in orders.items())
    return Measured(largest(abs(order - 1.0) for order in orders.values()), 0.03, f"orders: {detail}", within=20.0)


@cache
def _descended(model: str, rate: float, hold: bool) -> Followed:
    """Follow three topic words under descent, and return their start and their end."""
    corpus, words, rest = topic_words_among(3, topics=3)
    start = start_of_topic_words(corpus, words, model)
    held, epochs = rest if hold else (), round(FLOW_TIME / rate)
    run = descend(corpus, start, learning_rate=rate, epochs=epochs, follow=words, frozen_words=held).trajectory
    return followed(run.isel(epoch=[0, -1]), start, 3)
