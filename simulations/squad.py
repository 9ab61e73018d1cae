"""Windows of trained width in a pretrained encoder on extractive questions: W22's rows, and those of theory D7.

python -m simulations.squad --quick --data-dir DIR
"""

import sys

from simulations.experiment import Findings, command
from simulations.squad_rows import Settings


def study(options: Settings) -> Findings:
    """Train and compare every row."""
    # Import here, so that a missing extra is an error of the command without a traceback.
    from simulations import squad_experiment

    return squad_experiment.study(options)


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
