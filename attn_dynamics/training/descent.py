"""Training in steps by an update rule, from a start to a recorded run."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

from attn_dynamics.check import function, instance, integer, number
from attn_dynamics.errors import InputError
from attn_dynamics.model.gradient import check_fit
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.threads import Pace, one_blas_thread
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import Checkpoint, identity
from attn_dynamics.training.dynamics import Dynamics, checked_choices
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.rules import DESCENT, PLAIN, Rule, Update
from attn_dynamics.training.run import Run


def descend(
    corpus: Corpus,
    parameters: Parameters,
    *,
    learning_rate: float = 0.1,
    epochs: int = 5000,
    train: Collection[str] = ("keys", "embeddings", "head"),
    judge: Mapping[str, Corpus] | None = None,
    follow: Sequence[Hashable] = (),
    hold: Sequence[Hashable] = (),
    patience: int | None = None,
    reduced: bool = True,
    rule: Rule = DESCENT,
    decay: float | Mapping[str, float] = 0.0,
    decoupled: bool = False,
    batch_size: int | None = None,
    batch_seed: int = 0,
    checkpoint: Checkpoint | None = None,
    meter: Callable[[int, float], None] | None = None,
) -> Run:
    """Train with the exact gradient, by default by full-batch gradient descent, and record the run (theory §1).

    Args:
        corpus: N sentences over V words to train on.
        parameters: the initial values; not changed.
        learning_rate: learning rate η > 0; time = η × epoch.
        epochs: number of steps, at least 0, or of passes over mini-batches; epochs 0 … epochs are recorded.
        train: parts to train, any of query, keys, embeddings, head.
        judge: further corpora by name, evaluated at every epoch; `patience` watches "dev".
        follow: words recorded at every epoch.
        hold: words whose scores and embeddings keep their initial values; their keys must be 0 if the query is trained.
        patience: number of epochs without a lower dev loss after which to stop and return to the best state.
        reduced: whether to use law A6 if it holds; the results agree to round-off.
        rule: update rule, one of `RULES`: Descent, Momentum, Adam or SignDescent.
        decay: weight decay λ of all trained parts, or of each by its name; full coordinates are then used.
        decoupled: whether decay shrinks parameters by η λ a step, as in AdamW, and does not pass through the rule.
        batch_size: number of sentences a step; an epoch is then a pass over all, in an order of its own. What is
            recorded is evaluated on all sentences.
        batch_seed: random seed of these orders.
        checkpoint: file to save to, and to resume from.
        meter: function called with epoch and training loss at the start, some twenty times a second, and at the end.

    Raises:
        InputError: an argument is invalid.
        Interrupted: Ctrl-C was pressed; carries the run so far.
        Diverged: the loss is not finite; carries the run so far.
    """
    train, judge, follow, hold, reduced = checked_choices(train, judge, follow, hold, reduced=reduced)
    function("meter", meter)
    learning_rate, epochs, patience = checked_settings(learning_rate, epochs, patience, judge)
    checkpoint = checked_checkpoint(checkpoint)
    update = Update(rule, decay=decay, decoupled=decoupled, batch_size=batch_size, batch_seed=batch_seed)
    update.check_trained(train)
    check_fit(corpus, parameters, judge)
    layout = Layout(corpus, judge, follow)
    if patience is None:
        layout.check_room(epochs)
    dynamics = Dynamics(
        corpus,
        parameters,
        train=train,
        reduced=reduced,
        hold=hold,
        judged=list(judge.values()),
        followed=layout.columns,
        update=update,
    )
    loop = Loop(dynamics, layout, patience, learning_rate)
    if checkpoint is not None:
        settings = course(learning_rate, train, judge, follow, hold, patience, reduced=reduced, update=update)
        loop.save_to(checkpoint, identity([corpus, *judge.values()], [parameters], *settings), epochs)
    with one_blas_thread(), deferred_interrupt() as interrupted:
        return loop.run(epochs, meter, interrupted, Pace(single=not dynamics.in_parts))


def course(
    learning_rate: float,
    train: Collection[str],
    judge: Mapping[str, Corpus],
    follow: Sequence[Hashable],
    hold: Sequence[Hashable],
    patience: int | None,
    *,
    reduced: bool,
    update: Update = PLAIN,
) -> tuple[object, ...]:
    """Return the settings that decide the course and the record of a run, in one canonical form, for `identity`."""
    words = [*map(str, follow)], [*map(str, hold)]
    settings = float(learning_rate), sorted(train), patience and int(patience), bool(reduced), [*judge], *words
    return settings if update.plain else (*settings, update)


def resume_point(checkpoint: Checkpoint, epochs: int, patience: int | None) -> tuple[int, bool] | None:
    """Return the epoch that `descend` would resume at, and whether nothing is left to do; None without a checkpoint.

    Raises:
        InputError: the file is no checkpoint.
    """
    saved = checkpoint.peek("epoch", "stopping.best_epoch")
    if not saved:
        return None
    epoch = int(saved["epoch"])
    return epoch, epoch >= epochs or bool(patience and epoch - saved["stopping.best_epoch"] >= patience)


def checked_settings(
    learning_rate: float, epochs: int, patience: int | None, judge: Mapping[str, Corpus]
) -> tuple[float, int, int | None]:
    """Return the settings of a run as Python numbers.

    Raises:
        InputError: a learning rate, a number of epochs or a patience out of range, or patience without a dev corpus.
    """
    learning_rate = number("learning_rate", learning_rate, above=0, fix="LMN21 takes 0.1.")
    epochs = integer("epochs", epochs, 0, fix="Give the number of steps.")
    if patience is None:
        return learning_rate, epochs, None
    patience = integer("patience", patience, 1, fix="Give a positive integer, or leave it out.")
    if "dev" not in judge:
        raise InputError(
            "patience",
            expected="a development corpus to watch",
            given=f"{', '.join(judge) or 'none'}",
            fix='Pass judge={"dev": corpus}, or leave patience out.',
        )
    return learning_rate, epochs, patience


def checked_checkpoint(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return the given checkpoint, or None if there is none.

    Raises:
        InputError: the argument is something else, such as a path.
    """
    fix = "Make it of a path: Checkpoint(path)."
    return None if checkpoint is None else instance("checkpoint", checkpoint, Checkpoint, fix=fix)
