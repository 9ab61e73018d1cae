"""Files that are whole or not there, and where results go."""
