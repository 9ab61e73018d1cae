"""How a model learns: descent and flow along the gradient, what is recorded of them, when they stop."""
