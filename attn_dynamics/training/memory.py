"""The memory that a single run needs, and the error if there is less."""

from collections.abc import Sequence
from dataclasses import replace

from attn_dynamics.errors import InputError
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.memory import available_memory, in_words
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.memory import MemoryNeed, bytes_needed
from attn_dynamics.training.replicates.threads import Threads
from attn_dynamics.training.settings import Training


def run_memory(corpora: Sequence[Corpus], start: Parameters, layout: Layout, training: Training) -> MemoryNeed:
    """Return the bytes that a single run needs, by the formula of replicates."""
    (needed,) = bytes_needed(Threads(), corpora, start, layout, training, saved=False)
    return needed


def check_run(corpora: Sequence[Corpus], start: Parameters, layout: Layout, training: Training) -> None:
    """Refuse a run that memory cannot hold, before it is computed; its start is already in memory.

    Raises:
        InputError: memory is too small; the message gives the bytes needed, and those of them that the rule's buffers
            and early stopping need.
    """
    room = available_memory()
    if room is None:
        return
    if training.patience is not None:  # which may end the run at any epoch
        training = replace(training, epochs=0)
    needed = run_memory(corpora, start, layout, training)
    if needed.of(1) <= room + needed.start:
        return
    plain = run_memory(corpora, start, layout, replace(training, rule=Training.rule, patience=None))
    copies = needed.of(1) - plain.of(1)
    held = f", {in_words(copies)} of it for the buffers of the rule and the copies of early stopping" if copies else ""
    others = ["train by plain descent without patience"] * bool(copies) + ["take fewer epochs"] * bool(training.epochs)
    raise InputError(
        "memory",
        expected=f"a run that fits into the {in_words(max(0, room) + needed.start)} that are free for it",
        given=f"one that needs about {in_words(needed.of(1))}{held}",
        fix=f"Give embeddings and keys fewer dimensions, {', or '.join(['take fewer words', *others])}.",
    )
