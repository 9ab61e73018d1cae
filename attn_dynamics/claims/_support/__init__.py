"""Helpers of the claims: drawn texts and layers, exact tasks, runs of LMN21's task, and distances."""
