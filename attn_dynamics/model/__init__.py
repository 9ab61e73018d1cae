"""The attention block, the heads on it, and their exact gradient."""
