"""python -m benchmarks [paper] [sst2] [growth] [replicates] [window]: all of them, or those named."""

import sys

from benchmarks.against_torch import paper, sst2
from benchmarks.growth import growth
from benchmarks.replicates import replicates
from benchmarks.window import window

BENCHMARKS = {"paper": paper, "sst2": sst2, "growth": growth, "replicates": replicates, "window": window}


def main(names: list[str]) -> int:
    """Run the benchmarks named, or all."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"benchmarks: expected any of {', '.join(BENCHMARKS)}, got {unknown[0]!r}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
