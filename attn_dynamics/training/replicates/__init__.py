"""Many starts on the same data: single runs on threads, or columns of the sparse products on a device of torch."""
