"""The heads in compiled code, for a block of sentences as columns (theory §1)."""

from numba import njit

from attn_dynamics.kernels import kernel


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def dot(left, right):
    """Return Σ left · right, in as many partial sums as the processor takes at a time."""
    total = 0.0
    for place in range(left.size):
        total += left[place] * right[place]
    return total


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def total(row):
    """Return the sum of a row, in as many partial sums as the processor takes at a time."""
    found = 0.0
    for place in range(row.size):
        found += row[place]
    return found


@kernel
def multiply(matrix, columns, out, size):
    """Fill out (m, B) = matrix (m, k) @ columns (k, B), with `size` sentences side by side."""
    for row in range(matrix.shape[0]):
        target = out[row, :size]
        for place in range(size):
            target[place] = 0.0
        for axis in range(matrix.shape[1]):
            factor, source = matrix[row, axis], columns[axis]
            for place in range(target.size):
                target[place] += factor * source[place]


@kernel
def add_outer(left, right, out, size):
    """Add left (m, B) @ rightᵀ (B, k) to out (m, k), with `size` sentences side by side."""
    for row in range(left.shape[0]):
        for column in range(right.shape[0]):
            out[row, column] += dot(left[row, :size], right[column, :size])


@kernel
def hidden_forward(projected, bias_in, weight_out, bias_out, logits, size):
    """Fill the logits z = U₂ᵀ relu(u + b₁) + b₂ (n, B); u (h, B) becomes the hidden units relu(u + b₁)."""
    for unit in range(projected.shape[0]):
        row, bias = projected[unit, :size], bias_in[0, unit]
        for place in range(row.size):
            row[place] = max(row[place] + bias, 0.0)
    multiply(weight_out.T, projected, logits, size)
    for label in range(logits.shape[0]):
        row, bias = logits[label, :size], bias_out[0, label]
        for place in range(row.size):
            row[place] += bias


@kernel
def hidden_backward(hidden, slopes, weight_out, slopes_in, bias_in_sums, weight_out_sums, bias_out_sums, size):
    """Fill ∂L/∂u (h, B) from the hidden units and ∂L/∂z (n, B); add the gradients of b₁, U₂, b₂ to their sums."""
    multiply(weight_out, slopes, slopes_in, size)
    for unit in range(hidden.shape[0]):
        row, active = slopes_in[unit, :size], hidden[unit]
        for place in range(row.size):
            row[place] = row[place] if active[place] > 0.0 else 0.0
        bias_in_sums[0, unit] += total(row)
    add_outer(hidden, slopes, weight_out_sums, size)
    for label in range(slopes.shape[0]):
        bias_out_sums[0, label] += total(slopes[label, :size])
