"""A layer that attends within a bell around its query, whose width is trained (theory §D).

W22 is a progress report that trains the width of a Gaussian attention window together with a pretrained encoder.
"""
