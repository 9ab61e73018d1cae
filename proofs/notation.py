"""Symbols of the theory, shared by all proofs."""

import sympy as sp

from proofs.sums import array, size

N, V, n, m = size("N"), size("V"), size("n"), size("m")
"""Numbers of sentences, of dictionary words, of classes, and of other words in a sentence."""
D_E, D_K, H = size("d"), size("d_k"), size("h")
"""Dimensions of embeddings and keys, number of hidden units."""

NORM = sp.Symbol("‖q‖", positive=True)
"""Query norm."""
C, s, K, Q = array("C"), array("s"), array("K"), array("q")
"""Counts C_iw, scores s_w, keys K_wb, query q_b."""
E, G = array("nu"), array("g")
"""Embeddings ν_wb, and the signal that a head sends back, g_ib = ∂L/∂v_ib."""
A, v, P = array("A"), array("v"), array("p")
"""Attention A_iw, contexts v_ib and score gradient p_w = ∂L/∂s_w, where any values will do."""
U, SLOPE = array("U"), array("zeta")
"""Weights U_bc of a linear head and ζ_ic = ∂L/∂z_ic."""
