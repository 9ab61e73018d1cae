"""How a model learns: descent, flow, replicates, what is recorded, when it stops."""
