"""The experiments of the literature, each a short script over the library: `python -m simulations.NAME --quick`."""
