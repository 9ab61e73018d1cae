"""A layer that attends within a bell around its query, whose width is trained (theory §D)."""
