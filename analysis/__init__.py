"""Figures and tables across runs; run from the checkout."""
