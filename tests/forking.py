"""Children forked from a server that has loaded all that a command needs: they start in a tenth of a second."""

import multiprocessing
from multiprocessing.context import ForkServerContext


def context() -> ForkServerContext:
    """Return the context of processes; one server serves all tests of a worker."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.warm"])
    return found
