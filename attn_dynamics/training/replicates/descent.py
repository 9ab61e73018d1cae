"""Gradient descent of many replicates, each recorded and stopped as if it ran alone."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from attn_dynamics.check import function, renamed, shown
from attn_dynamics.errors import InputError
from attn_dynamics.model.corpus_arrays import Data
from attn_dynamics.model.gradient import check_fit
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import Checkpoint, identity
from attn_dynamics.training.coordinates import Coordinates
from attn_dynamics.training.descent import checked_checkpoint
from attn_dynamics.training.dynamics import Dynamics, frozen_columns
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.memory import bytes_needed, memory_for
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.replicates.threads import Threads, run_on_threads
from attn_dynamics.training.run import Run
from attn_dynamics.training.settings import Training, training_with


@renamed(judge="evaluate_on", hold="frozen_words")
def descend_many(
    corpus: Corpus,
    parameters: Sequence[Parameters],
    training: Training | None = None,
    *,
    evaluate_on: Mapping[str, Corpus] | None = None,
    follow: Sequence[Hashable] = (),
    device: str = "numpy",
    precision: str = "float64",
    checkpoint: Checkpoint | None = None,
    meter: Callable[[int, float], None] | None = None,
    **settings: Any,
) -> list[Run]:
    """Train each of R starts as `descend` would (theory §1).

    On processors they are single runs on threads, equal to those of `descend` to the bit. On a device of torch they are
    columns of the sparse products in one pass over the data, equal to round-off. Each stops at its own patience, or
    when its loss is no longer finite (its run then says "diverged"), and the others continue.

    Args:
        corpus: N sentences over V words to train on.
        parameters: the R starts, with one kind of head and the same shapes; not changed.
        training: settings of the runs, by default `Training()`. All replicates take their mini-batches in the same
            order. On a device of torch a rule of your own must take its functions from the namespace of its arrays.
        evaluate_on: further corpora by name, evaluated at every epoch; `patience` watches "dev".
        follow: words recorded at every epoch.
        device: "numpy" (compiled loops on all cores), or "cpu" or "cuda" of torch.
        precision: "float64", or "float32" with torch.
        checkpoint: file to save all replicates to, and to resume from. A resumed run is the same to the bit, except on
            a GPU, whose sums vary.
        meter: function called with epoch and mean training loss: on a device of torch some twenty times a second, of
            the replicates still running; on processors ten times a second, with the means over all replicates.
        settings: fields of `Training` that replace those of `training`, as `descend` takes them.

    Returns:
        R runs, in the order of the starts.

    Raises:
        InputError: an argument is invalid, the starts differ in shape, memory is too small, or torch is not installed.
        RunsInterrupted: Ctrl-C was pressed; the exception holds the runs so far.

    Example:
        >>> from attn_dynamics import Corpus, draw
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=[1, 0])
        >>> sizes = {"n_words": 3, "n_classes": 2, "embedding_dim": 2}
        >>> starts = [draw("paper", "attn-fc", rng=np.random.default_rng(seed), **sizes) for seed in range(3)]
        >>> [run.ended for run in descend_many(corpus, starts, epochs=10)]
        ['epochs', 'epochs', 'epochs']
    """
    training = training_with(training, settings)
    layout = Layout(corpus, evaluate_on, follow)
    function("meter", meter)
    training.check_dev(layout.others)
    engine = engine_for(device, precision)
    checkpoint, parameters = checked_checkpoint(checkpoint), _starts(corpus, parameters)
    if not parameters:
        return []
    training = training.on(corpus.n_sentences)
    engine.check_rule(training.rule, Coordinates(parameters[0], training).shapes)
    # One from E(0) = 0 may need less than the others.
    largest = next((each for each in parameters if each.embeddings.any()), parameters[0])
    needed = bytes_needed(engine, largest, layout, training, saved=checkpoint is not None)
    frozen = np.unique(np.concatenate([frozen_columns(corpus, each, training) for each in parameters]))
    saving = None
    if checkpoint is not None:
        same = *training.identity, *layout.identity, device, precision, LAYOUT
        saving = checkpoint, identity(layout.corpora, parameters, *same)
    with memory_for(engine, needed, len(parameters)):
        if isinstance(engine, Threads):
            data = Data.of(corpus, layout.others.values(), frozen, layout.columns)

            def loop(replicate: int) -> Loop:
                dynamics = Dynamics(corpus, parameters[replicate], training, data=data)
                return Loop(dynamics, layout, training)

            return run_on_threads(loop, len(parameters), training.epochs, saving=saving, meter=meter)
        from attn_dynamics.training.replicates.equations import Replicates
        from attn_dynamics.training.replicates.group import Group

        starts = [Coordinates(each, training) for each in parameters]
        models = Replicates(engine, starts, training, frozen, layout)
        group = Group(models, starts, layout, training)
        if saving is not None:
            group.save_to(*saving)
        return group.run(meter)


LAYOUT = 3
"""Number of the layout of a checkpoint of replicates, so that a file of an older one is refused."""


def _starts(corpus: Corpus, parameters: Iterable[Parameters]) -> Sequence[Parameters]:
    """Return the starts as a list, if they fit the corpus and each other; a generator is accepted too."""
    if isinstance(parameters, Parameters | str) or not isinstance(parameters, Iterable):
        fix = "Put them into a list, or call descend for a single start."
        raise InputError("parameters", expected="a list of Parameters", given=shown(parameters), fix=fix)
    starts = list(parameters)
    for start in starts:
        check_fit(corpus, start)
        if _shapes(start) != _shapes(starts[0]):
            raise InputError(
                "parameters",
                expected=f"replicates of one head and one shape, {_shapes(starts[0])}",
                given=f"one of {_shapes(start)}",
                fix="Train replicates of different shapes in different calls.",
            )
    return starts


def _shapes(parameters: Parameters) -> str:
    shapes = {"keys": parameters.keys.shape, "embeddings": parameters.embeddings.shape}
    shapes |= {name: array.shape for name, array in parameters.head.arrays().items()}
    return f"{type(parameters.head).__name__}: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
