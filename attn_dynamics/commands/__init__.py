"""Commands: they turn settings into a folder of results, and set exit codes."""
