"""Several runs in one figure each, told apart by the settings that differ: `python -m analysis.compare`."""
