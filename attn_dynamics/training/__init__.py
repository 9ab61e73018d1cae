"""Training by descent or gradient flow: its settings, its steps, its record, its checkpoints and its end."""
