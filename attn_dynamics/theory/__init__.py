"""Predictions as pure functions: SEN, training in mean field and its limits, the width of a bell, invariants."""
