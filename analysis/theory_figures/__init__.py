"""Figures of the theory of training beside runs: `python -m analysis.theory_figures`."""
