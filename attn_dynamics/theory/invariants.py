"""The quantities that gradient flow conserves, for any model, data and start (theory A1 to A4, A6, A7)."""

from collections.abc import Collection

import numpy as np

from attn_dynamics.check import Array
from attn_dynamics.model.parameters import Parameters


def invariants(parameters: Parameters, train: Collection[str] = ("keys", "embeddings", "head")) -> dict[str, Array]:
    """Return all conserved quantities by name, at one state.

    Args:
        parameters: the state.
        train: trained parts, any of query, keys, embeddings, head.

    Returns:
        "key_sum": Σ_w κ_w (d_k,), which descent conserves too (theory A1);
        "query_keys": q qᵀ - KᵀK (d_k, d_k) (A2);
        "embeddings_head": EᵀE - W Wᵀ (d, d), W the head's first layer (A3, A4);
        "embeddings_outside": the part of E (V, d) orthogonal to the directions that a head with a fixed first layer
        reads, which descent conserves too (A6);
        "hidden_units": balance (h,) of each hidden unit of the head (A4);
        "class_sum": sum over classes of the last layer's parameters, which descent conserves too (A7).
        A quantity is present only if its parameters are trained.
    """
    head, embeddings, first = parameters.head, parameters.embeddings, parameters.head.first_layer
    trained = head.trained if "head" in train else ()
    kept = {}
    if "keys" in train:
        kept["key_sum"] = parameters.keys.sum(axis=0)
        if "query" in train:
            kept["query_keys"] = np.outer(parameters.query, parameters.query) - parameters.keys.T @ parameters.keys
    if "embeddings" in train:
        if head.first in trained:
            kept["embeddings_head"] = embeddings.T @ embeddings - first @ first.T
        else:
            basis = np.linalg.svd(head.readout_matrix, full_matrices=False)[0]
            kept["embeddings_outside"] = embeddings - embeddings @ basis @ basis.T
    return kept | (head.balances() if set(trained) == set(head.arrays()) else {})
