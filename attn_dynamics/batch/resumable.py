"""Replicates whose state can be taken down and put back, to the bit."""

from collections.abc import Mapping, Sequence
from typing import Any

from attn_dynamics.batch.equations import Replicates
from attn_dynamics.heads import Array


class Resumable(Replicates):
    """Replicates with a way back to an earlier state."""

    def states(self) -> list[dict[str, Array]]:
        """Of each replicate all that moves, and its scores, by name; on the host."""
        arrays = {name: self._engine.numbers(array) for name, array in self._all_that_moves().items()}
        return [{name: array[place] for name, array in arrays.items()} for place in range(len(self))]

    def restore(self, states: Sequence[Mapping[str, Array]]) -> None:
        """Return, replicate by replicate, to what `states` gave; one of which nothing is given stays."""
        arrays = self._all_that_moves()
        for place, state in enumerate(states):
            for name, values in state.items():
                arrays[name][place] = self._engine.array(values)

    def _all_that_moves(self) -> dict[str, Any]:
        """Scores among it where they follow from a trained query: taken down, they need not be summed again."""
        return self.moving() | {"scores": self._arrays["scores"]}
