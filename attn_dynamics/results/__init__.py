"""Results of a run: numbers and figures that set what was measured beside the theory."""
