"""What is read off a run: measured beside theory, in numbers and figures."""
