"""Padding of sentences to one length with a special word, which is attended to and trained like any other.

LMN21's code pads in this way; LMN21's text excludes padding from attention, as a corpus without padding does.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array, hstack

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.task import Task

PAD = "$PAD$"
"""Padding word, named as in LMN21's code."""


def padded(task: Task) -> Task:
    """Pad every sentence to the length of the longest sentence in any split.

    Raises:
        InputError: the vocabulary holds the padding word.
    """
    if PAD in task.train.vocabulary:
        fix = "Replace that word in the text, or leave out the padding."
        raise InputError("--padding", expected=f"a text without the word {PAD}", given="a text with it", fix=fix)
    longest = max(int(corpus.lengths.max()) for corpus in task.splits.values())
    note = f"Every sentence is padded to {longest} words with {PAD}, which is attended to and trained."
    corpora = {name: _filled_up(corpus, longest) for name, corpus in task.splits.items()}
    return replace(task, **corpora, notes=(*task.notes, note))


def _filled_up(corpus: Corpus, longest: int) -> Corpus:
    missing = csr_array((longest - corpus.lengths)[:, None].astype(np.int32))
    return replace(corpus, counts=hstack([corpus.counts, missing], format="csr"), vocabulary=(*corpus.vocabulary, PAD))
