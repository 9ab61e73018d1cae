"""What the commands do: settings to results, exit codes, lists of commands."""
