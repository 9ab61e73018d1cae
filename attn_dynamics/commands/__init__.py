"""Commands, which turn settings into a folder of results and an exit code."""
