"""The process and the machine: interrupts, threads, memory, streams, options. It knows no attention."""
