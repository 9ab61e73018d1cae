"""Figures of runs, replicates and windows."""
