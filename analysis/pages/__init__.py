"""A page for each claim, the graph of the claims, and the gallery of figures: `python -m analysis.pages`."""
