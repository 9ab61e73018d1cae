"""Training in steps by an update rule, from a start to a recorded run."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from attn_dynamics.check import function, instance, renamed
from attn_dynamics.model.gradient import check_fit
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.threads import Pace, one_blas_thread
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import Checkpoint, identity
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.memory import check_run
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.run import Run
from attn_dynamics.training.settings import Training, training_with


@renamed(judge="evaluate_on", hold="frozen_words")
def descend(
    corpus: Corpus,
    parameters: Parameters,
    training: Training | None = None,
    *,
    evaluate_on: Mapping[str, Corpus] | None = None,
    follow: Sequence[Hashable] = (),
    checkpoint: Checkpoint | None = None,
    meter: Callable[[int, float], None] | None = None,
    **settings: Any,
) -> Run:
    """Train with the exact gradient, by default by full-batch gradient descent, and record the run (theory §1).

    Args:
        corpus: N sentences over V words to train on.
        parameters: the initial values; not changed.
        training: settings of the run, by default `Training()`.
        evaluate_on: further corpora by name, evaluated at every epoch; `patience` watches "dev".
        follow: words recorded at every epoch.
        checkpoint: file to save to and to resume from.
        meter: function called with epoch and training loss at the start, some twenty times a second, and at the end.
        settings: fields of `Training` that replace those of `training`, such as learning_rate=0.1, epochs=500,
            train=("keys",), patience=100, rule=Momentum(0.9), decay=1e-3 or batch_size=32.

    Raises:
        InputError: an argument is invalid, or memory is too small.
        Interrupted: Ctrl-C was pressed; the exception holds the run so far.
        Diverged: the loss is not finite; the exception holds the run so far.

    Example:
        >>> from attn_dynamics import Corpus, draw
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=[1, 0])
        >>> start = draw("paper", "attn-fc", n_words=3, n_classes=2, embedding_dim=2, rng=np.random.default_rng(0))
        >>> run = descend(corpus, start, learning_rate=1.0, epochs=100, follow=["good"])
        >>> loss = run.trajectory.train_loss
        >>> loss.size, bool(loss[-1] < loss[0])
        (101, True)
    """
    training = training_with(training, settings)
    layout = Layout(corpus, evaluate_on, follow)
    function("meter", meter)
    training.check_dev(layout.others)
    checkpoint = checked_checkpoint(checkpoint)
    check_fit(corpus, parameters)
    training = training.on(corpus.n_sentences)
    check_run(parameters, layout, training)
    dynamics = Dynamics(corpus, parameters, training, others=layout.others.values(), followed=layout.columns)
    loop = Loop(dynamics, layout, training)
    if checkpoint is not None:
        loop.save_to(checkpoint, identity(layout.corpora, [parameters], *training.identity, *layout.identity))
    with one_blas_thread(), deferred_interrupt() as interrupted:
        return loop.run(meter, interrupted, Pace(single=dynamics.objective.parts == 1))


def checked_checkpoint(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return the given checkpoint, or None if there is none.

    Raises:
        InputError: the argument is neither a checkpoint nor None.
    """
    fix = "Make one from a path: Checkpoint(path)."
    return None if checkpoint is None else instance("checkpoint", checkpoint, Checkpoint, fix=fix)
