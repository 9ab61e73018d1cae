"""Checks of the assumptions behind each law, from a run's corpus, start and settings (theory A1, B1, C9, C10).

The SEN relation (B1) is checked for the words that are shown beside it, mean field (C9 or C10) for the topic words. The
prediction solves C10 in its vector form, which takes any linear head and any frequencies. So neither orthogonal columns
nor equal frequencies are required.

An assumption that the theory needs exactly has no threshold. A small violation of any other moves the relation a
little. Its check computes the shift of ‖ν‖ at a given score, and allows 1 % (`ALLOWED`).
"""

import json
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import rel_entr

from attn_dynamics.check import instance
from attn_dynamics.model.heads import FixedLinear, TrainedLinear
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.tasks import Task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.task import as_task
from attn_dynamics.theory.small_start import decay_threshold
from attn_dynamics.training.rules import Adam, Descent, Momentum, Rule, SignDescent
from attn_dynamics.training.settings import Training, training_with

ALLOWED = 0.01
"""Share of ‖ν‖ by which a broken assumption may move the relation: as much as B2 allows LMN21's published task."""
CHANCE = 1e-3
"""Probability, over all words together, that a word unrelated to the labels counts as related."""
SMALL = 0.01
"""Largest embedding norm ‖ν_w‖ at the start of another word that counts as zero in mean field.

The published start has 0.003. Topic words grow to a norm of order 1, of which this bound is 1 %.
"""

FIXED = "a fixed query"
TRAINED = "trained keys and embeddings"
ONE_WORD = "one topic word a sentence"
LABELS = "labels given by topic words"
BESIDE = "other words beside topic words"
ONE_LENGTH = "sentences of one length"
FROM_ZERO = "other words that start at zero"
RARE = "rare other words"
SILENT = "other words blind to the label"
MANY = "many sentences a topic word"
SHORT = "short steps"
PLAIN_STEPS = "steps of plain descent"
FREE = "no frozen words"
HARD = (FIXED, ONE_WORD, LABELS, BESIDE, ONE_LENGTH, FROM_ZERO)
"""Assumptions without which the mean-field equations cannot be written down for a task."""
ALONG = "every step is along the gradient, at the learning rate"
"""Reason why the steps of plain descent hold."""


class Assumption(NamedTuple):
    """One assumption of a law, and whether a run meets it."""

    law: str
    """Theory id of the law: A1, B1, C9 or C10; for windows D2, D3 or D4."""
    assumption: str
    holds: bool
    detail: str
    """Finding with its numbers, a clause without a full stop."""


class _Verdict(NamedTuple):
    """Whether an assumption holds, and the finding in words."""

    holds: bool
    detail: str


_Check = Callable[[], _Verdict]


def check_assumptions(
    task: Task | Corpus,
    start: Parameters,
    training: Training | None = None,
    *,
    words: Sequence[Hashable] | None = None,
    **settings: Any,
) -> list[Assumption]:
    """Check the assumptions of the laws shown beside a run, before the run.

    Law A1 and the SEN relation (B1) are always checked, mean field (C9 or C10) if `mean_field_law` names one of them.
    Only the finished run shows whether its steps are short (`results.summary.annotate`).

    Args:
        task: the task, whose training sentences and topic words are read, or a corpus alone.
        start: initial values.
        training: trained parts, update rule, weight decay and mini-batches, by default `Training()`.
        words: the words for which to check the SEN relation (B1); by default the topic words.
        settings: fields of `Training` that replace those of `training`, such as train=("keys",).

    Raises:
        InputError: a word is not in the vocabulary, or a setting is invalid.

    Example:
        >>> from attn_dynamics import Synthetic, draw
        >>> task = Synthetic(label_noise=0.25).draw(seed=0)
        >>> start = draw("paper", "attn-tc", n_words=5008, n_classes=4, embedding_dim=10, rng=np.random.default_rng(0))
        >>> {each.assumption for each in check_assumptions(task, start) if not each.holds}
        {'labels given by topic words'}
    """
    task = as_task(task)
    training = training_with(training, settings).on(task.train.n_sentences)
    instance("start", start, Parameters, fix="draw(…) makes them.")
    train = training.train
    topic = [word for words in task.topic_words for word in words]
    found = [Assumption("A1", FIXED, *_query_fixed(train))]
    chosen = topic if words is None else list(dict.fromkeys(words))
    beside = _Beside.of(task.train, chosen, "topic" if set(chosen) <= set(topic) else "followed")
    found += _relation(beside, start, train)
    found += mean_field_assumptions(task, start, train=train)
    found += _frozen([each.law for each in found], training, chosen)
    if training.plain:
        return found
    laws = dict.fromkeys(each.law for each in found)
    return found + [Assumption(law, PLAIN_STEPS, *_plain_steps(law, training, start, task.train)) for law in laws]


def mean_field_law(task: Task, start: Parameters, *, train: Collection[str]) -> str | None:
    """Return C9 for a fixed linear head, C10 for a trained one; None for other heads or without named topic words."""
    if not any(task.topic_words) or not isinstance(start.head, FixedLinear | TrainedLinear):
        return None
    return "C10" if start.head.trained and "head" in train else "C9"


def mean_field_assumptions(task: Task, start: Parameters, *, train: Collection[str]) -> list[Assumption]:
    """Check the assumptions of mean field; return an empty list if no law applies (`mean_field_law`)."""
    law = mean_field_law(task, start, train=train)
    if law is None:
        return []
    classes = np.repeat(np.arange(len(task.topic_words)), [len(words) for words in task.topic_words])
    beside = _Beside.of(task.train, [word for words in task.topic_words for word in words], "topic")
    checks: dict[str, _Check] = {
        FIXED: lambda: _query_fixed(train),
        ONE_WORD: lambda: _one_word(beside, all_sentences=True),
        LABELS: lambda: _labels(beside, classes),
        BESIDE: lambda: _accompanied(beside),
        ONE_LENGTH: lambda: _one_length(beside, all_sentences=True),
        FROM_ZERO: lambda: _exactly_from_zero(beside, start),
        RARE: lambda: _rare(beside, standing_once=True),
        SILENT: lambda: _silent(beside),
    }
    return _checked(law, checks, beside, unseen=(FIXED, ONE_WORD))


def short_steps(laws: Collection[str], trouble: str | None, largest: float) -> list[Assumption]:
    """Return, for each law of gradient flow, the assumption that descent stayed near the flow.

    Args:
        laws: ids of the checked laws.
        trouble: reason why the steps are too long; None if they are not.
        largest: largest change of the training loss in one step, as a share.
    """
    fine = f"the training loss never rose, and changed by at most {percent(largest)} in an epoch"
    return [Assumption(law, SHORT, trouble is None, trouble or fine) for law in dict.fromkeys(laws) if law != "A1"]


# --- texts of findings


def as_text(found: Sequence[Assumption]) -> str:
    """Return assumptions as JSON text, which fits into an attribute of a trajectory."""
    return json.dumps([each._asdict() for each in found], ensure_ascii=False)


def from_text(text: str) -> list[Assumption]:
    """Return the assumptions written by `as_text`."""
    return [Assumption(**each) for each in json.loads(text)]


def curve_name(curve: str, laws: Collection[str], *attributes: Mapping[Any, Any]) -> str:
    """Return the name of a theory curve for a legend, which says if an assumption of its laws fails.

    Args:
        curve: name of the curve.
        laws: ids of the laws that the curve draws.
        attributes: attributes of the trajectories beside the curve.
    """
    found = [each for one in attributes for each in from_text(one.get("assumptions", "[]"))]
    broken = list(dict.fromkeys(each.assumption for each in found if each.law in laws and not each.holds))
    if not broken:
        return curve
    more = f" (+{len(broken) - 1})" if len(broken) > 1 else ""
    return f"{curve},\nnot met: {broken[0]}{more}"


def sentences(found: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[str]:
    """Yield one sentence for each failed assumption; laws with the same finding share a sentence.

    Args:
        found: assumptions in the form of `summary.json`.
        names: name of each law in the text.
    """
    laws: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if not each["holds"]:
            laws.setdefault((each["assumption"], each["detail"]), []).append(names.get(each["law"], each["law"]))
    for (assumption, detail), (*others, last) in laws.items():
        if others:
            yield f"{', '.join(others)} and {last} assume {assumption}: {detail}."
        else:
            yield f"{last} assumes {assumption}: {detail}."


def broken_in_words(found: Sequence[Mapping[str, Any]]) -> str:
    """Return each failed assumption with its laws, as in "rare other words (B1, C10)"; "" if none fails."""
    failed: dict[str, list[str]] = {}
    for each in found:
        if not each["holds"]:
            failed.setdefault(each["assumption"], []).append(each["law"])
    return "; ".join(f"{assumption} ({', '.join(laws)})" for assumption, laws in failed.items())


def joined(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the assumptions of all replicates; an assumption holds if it holds in every replicate."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    failed: dict[tuple[str, str], int] = {}
    for found in runs:
        for each in found:
            key = each["law"], each["assumption"]
            failed[key] = failed.get(key, 0) + (not each["holds"])
            if key not in out or (out[key]["holds"] and not each["holds"]):
                out[key] = dict(each)
    for key, count in failed.items():
        if 0 < count < len(runs):
            out[key]["detail"] = f"in {count} of {len(runs)} replicates {out[key]['detail']}"
    return [*out.values()]


# --- the checks


@dataclass(frozen=True, eq=False)
class _Beside:
    """Chosen words, the training sentences that contain them, and the other words of these sentences."""

    corpus: Corpus
    words: list[Hashable]
    """Chosen words that occur in a training sentence."""
    columns: NDArray[np.int64]
    """Column of each of these words."""
    indices: NDArray[np.int64]
    """Index of each of these words among all given words."""
    kind: str
    """Kind of the words: topic or followed."""

    @classmethod
    def of(cls, corpus: Corpus, words: Sequence[Hashable], kind: str) -> Self:
        columns = corpus.columns(words)
        indices = np.flatnonzero(np.bincount(corpus.counts.indices, minlength=corpus.n_words)[columns])
        return cls(corpus, [words[index] for index in indices.tolist()], columns[indices], indices, kind)

    @cached_property
    def counts(self) -> csr_array:
        """Counts of these words (N, words)."""
        return self.corpus.counts[:, self.columns]  # pyright: ignore[reportReturnType]

    @cached_property
    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sentence and word index of every entry of `counts`."""
        entries = self.counts.tocoo()
        return entries.row, entries.col

    @cached_property
    def present(self) -> csr_array:
        """1 if a sentence contains a word, else 0 (N, words)."""
        return csr_array(self.counts.astype(bool).astype(float))

    @cached_property
    def others(self) -> csr_array:
        """Number of tokens of each other word in the sentences of each chosen word (words, V)."""
        beside = csr_array(self.present.T @ self.corpus.counts)
        beside.data[np.isin(beside.indices, self.columns)] = 0.0
        beside.eliminate_zeros()
        return beside

    @cached_property
    def m(self) -> NDArray[np.int64]:
        """Number of other words in the sentence of each entry."""
        return self.corpus.lengths[self.entries[0]] - 1


def _relation(beside: _Beside, start: Parameters, train: Collection[str]) -> list[Assumption]:
    checks: dict[str, _Check] = {
        FIXED: lambda: _query_fixed(train),
        TRAINED: lambda: _both_trained(train),
        ONE_WORD: lambda: _one_word(beside),
        LABELS: lambda: _labels(beside),
        BESIDE: lambda: _accompanied(beside),
        ONE_LENGTH: lambda: _one_length(beside),
        FROM_ZERO: lambda: _near_zero(beside, start),
        RARE: lambda: _rare(beside),
        SILENT: lambda: _silent(beside),
        MANY: lambda: _many(beside),
    }
    return _checked("B1", checks, beside, unseen=(FIXED, TRAINED))


def _checked(law: str, checks: Mapping[str, _Check], beside: _Beside, unseen: Collection[str]) -> list[Assumption]:
    """Run the checks of a law; if no chosen word is in a training sentence, run only those in `unseen`."""
    return [Assumption(law, name, *check()) for name, check in checks.items() if beside.words or name in unseen]


def _query_fixed(train: Collection[str]) -> _Verdict:
    if "query" in train:
        return _Verdict(False, "the query is trained, and every score moves with it")
    return _Verdict(True, "the query is not trained")


def _plain_steps(law: str, training: Training, start: Parameters, corpus: Corpus) -> _Verdict:
    """Check what a law asks of steps: of A1 sums of gradients, of B1 the way along the gradient, of C9, C10 its pace.

    The relation was measured at the end of the command's default run, Attn-TC from seed 0. Descent and batches of 100
    are 0.5 % off. Momentum 0.9 is 3.8 % off at the learning rate 0.1, and 0.8 % at 0.01. A decay of 10⁻³ is 9.6 % off.
    At the learning rate 0.001 Adam is 17 % off, and sign descent 198 %.
    """
    if law == "A1":
        return _sum_kept(training, start)
    why = [_not_plain(law, training.rule), _shrinking(law, training), _stifled(training, start, corpus)]
    if law == "B1":
        return _Verdict(not any(why), "; ".join(filter(None, why)) or _relation_kept(training) or ALONG)
    if training.rule.linear and training.batch_size is not None:
        steps = _count(training.steps(corpus.n_sentences), "step")
        why.append(f"an epoch takes {steps}, one a mini-batch, where time counts one")
    return _Verdict(not any(why), "; ".join(filter(None, why)) or ALONG)


def _sum_kept(training: Training, start: Parameters) -> _Verdict:
    """Check whether Σ s stays where it starts (A1): gradients sum to 0 over the words, and decay shrinks the sum."""
    if "keys" not in training.train:
        return _Verdict(True, "the keys are not trained")
    if broken := _not_plain("A1", training.rule):
        return _Verdict(False, broken)
    total, kept = start.scores.sum(), "the gradients of the scores sum to 0 over the words in every step"
    if not training.decay_of("keys"):
        return _Verdict(True, f"{kept}, and no key decays" if training.decays else kept)
    if total == 0.0:
        return _Verdict(True, f"{kept}, and decay shrinks Σ s, which starts at 0 and stays there")
    return _Verdict(False, f"decay of the keys shrinks Σ s, which starts at {total:.2g} (law G1)")


def _relation_kept(training: Training) -> str:
    """Return why a training that is not plain descent keeps the SEN relation (B1): it decays the head, or has batches.

    The relation holds for any head and any sentences, whatever they do from one step to the next.
    """
    kept = ["the relation holds for any head, so that the decay of the head alone leaves it"] * training.decays
    batches = "a step on any sentences keeps the relation to first order in the learning rate (law G3)"
    return "; ".join(kept + [batches] * (training.batch_size is not None))


def _shrinking(law: str, training: Training) -> str:
    """Return a clause if a law misses the decay of a part, else ""; the relation (B1) does not see that of the head."""
    if law != "B1":
        return "the equations of mean field have no weight decay" if training.decays else ""
    parts = [part for part in ("keys", "embeddings") if training.decay_of(part)]
    if not parts:
        return ""
    beside = f"weight decay shrinks {' and '.join(parts)} beside the steps along the gradient"
    return f"{beside} (law G1 says where that ends)"


def _not_plain(law: str, rule: Rule) -> str:
    """Return a clause if a law misses the steps of plain descent, else ""; of a rule of the user's, little is known.

    If steps are short, momentum follows gradient flow at another speed, which the SEN relation (B1) does not see.
    """
    name, see = type(rule).__name__, _SEE.get(type(rule), "")
    if isinstance(rule, Descent) or (law == "A1" and rule.linear):
        return ""
    if not see:
        return f"steps of {name} are not known to be those of plain descent"
    if not rule.linear:
        return f"steps of {name} are no sums of gradients{see}"
    if law == "B1":
        return f"{name} steps along past gradients, and the relation lags until steps are short{see}"
    return f"{name} adds past gradients to each step, where time counts one"


def _stifled(training: Training, start: Parameters, corpus: Corpus) -> str:
    """Return a clause if decay is above the threshold of learning, which Attn-TC has (C13), else "".

    If the decays of embeddings and head differ, their geometric mean counts: the modes of zero grow if and only if σ₁²
    exceeds their product. The threshold holds for any linear rule, because decay and gradient go through it together.
    Decoupled decay bypasses the rule, so that momentum, whose steps are 1/(1 - β) times as long, learns above it.
    """
    linear = isinstance(training.rule, Descent) if training.decoupled else training.rule.linear
    if not isinstance(start.head, TrainedLinear) or not linear:
        return ""
    if not {"embeddings", "head"} <= {*training.train}:
        return ""
    decay = (training.decay_of("embeddings") * training.decay_of("head")) ** 0.5
    if not decay or decay <= (threshold := decay_threshold(corpus)):
        return ""
    above = f"a decay of {unlike(decay, threshold)} is above {unlike(threshold, decay)}, the threshold"
    return f"{above} beyond which nothing is learned from a small start (law C13): only a smaller decay lets it learn"


_SEE: Mapping[type, str] = {Momentum: " (law G2)", SignDescent: " (law G4)", Adam: " (law G5)"}
"""Law of the theory on each update rule, in parentheses."""


def _frozen(laws: Collection[str], training: Training, chosen: Sequence[Hashable]) -> list[Assumption]:
    """Report frozen words; law A1 and mean field allow none, and the SEN relation (B1) none among the chosen words."""
    if not training.frozen_words:
        return []
    verdicts = {}
    for law in dict.fromkeys(laws):
        counted = {*training.frozen_words} & {*chosen} if law == "B1" else training.frozen_words
        some = _count(len(counted), "word") + (" of those" if law == "B1" else "")
        detail = f"{some} {'is' if len(counted) == 1 else 'are'} frozen" if counted else "no word shown is frozen"
        verdicts[law] = _Verdict(not counted, detail)
    return [Assumption(law, FREE, *verdict) for law, verdict in verdicts.items()]


def _both_trained(train: Collection[str]) -> _Verdict:
    fixed = [name for name in TRAINABLE if name in ("keys", "embeddings") and name not in train]
    if fixed:
        return _Verdict(False, f"{' and '.join(fixed)} are not trained, so there is no SEN curve")
    return _Verdict(True, "both are trained")


def _one_word(beside: _Beside, *, all_sentences: bool = False) -> _Verdict:
    """Count sentences with several chosen words: their scores rise together, but the theory keeps other words at 0.

    With `all_sentences`, as in mean field, sentences without a chosen word count too.
    """
    each = beside.counts.sum(axis=1)
    several, none = np.count_nonzero(each > 1), np.count_nonzero(each == 0) if all_sentences else 0
    count, kind = f"of {each.size:,} training sentences hold", f"{beside.kind} word"
    found = [f"{several:,} {count} more than one {kind}, or one repeatedly"] * bool(several)
    found += [f"{none:,} {count} no {kind}"] * bool(none)
    return _Verdict(not found, " and ".join(found) or f"no training sentence holds more than one {kind}")


def _labels(beside: _Beside, classes: NDArray[np.integer] | None = None) -> _Verdict:
    """Count sentences whose label contradicts their word, so that only their other words can learn it (B1).

    None is allowed, because such a sentence keeps its slope while all other slopes vanish. Six such sentences in 800
    move the published task from 0.5 to 1.8 % off the relation.

    Args:
        beside: the words to check.
        classes: class of each given word; by default the most frequent label among the word's sentences.
    """
    rows, words = beside.entries
    labels = beside.corpus.labels
    if classes is None:
        own = (beside.present.T @ np.eye(beside.corpus.n_classes)[labels]).argmax(axis=1)
    else:
        own = classes[beside.indices]
    contrary = np.unique(rows[labels[rows] != own[words]]).size
    if not contrary:
        return _Verdict(True, f"every {beside.kind} word stands for one label")
    share = f"{contrary:,} of {np.unique(rows).size:,} training sentences"
    whose = f"have another label than their {beside.kind} word stands for"
    return _Verdict(False, f"{share} {whose}, and only their other words can learn these")


def _accompanied(beside: _Beside) -> _Verdict:
    """Count sentences that hold only a chosen word: it has all attention at any score, so its score does not move."""
    alone = np.count_nonzero(beside.m == 0)
    if not alone:
        return _Verdict(True, f"no {beside.kind} word stands alone in a training sentence")
    found = f"{alone:,} of {beside.m.size:,} training sentences with a {beside.kind} word hold no other word"
    return _Verdict(False, f"{found}, and attention has no choice")


def _one_length(beside: _Beside, *, all_sentences: bool = False) -> _Verdict:
    """Compare the sentence lengths of each word, or of all words: the relation and mean field assume one m.

    With several lengths, ‖ν‖ lies between the norms for the shortest and the longest sentence. By the SEN relation (B1)
    ‖ν‖² is 2 (s + (e^s - 1)/m)/‖q‖², so a relative error of m changes ‖ν‖ by less than half of it. The mean-field
    equations cannot be written down for two values of m.
    """
    m, (_, words) = beside.m, beside.entries
    least, most = np.full(len(beside.words), np.inf), np.zeros(len(beside.words))
    np.minimum.at(least, words, m)
    np.maximum.at(most, words, m)
    mean = np.bincount(words, m) / np.bincount(words)
    off = float(np.max((most - least) / np.maximum(2 * mean, np.finfo(float).tiny)))
    lengths = beside.corpus.lengths - 1 if all_sentences else m
    low, high = int(lengths.min()), int(lengths.max())
    holds = low == high if all_sentences else off <= ALLOWED
    if high == low:
        return _Verdict(holds, f"a {beside.kind} word has {_count(low, 'other word')} in every sentence")
    allowed = f"{percent(ALLOWED)} is allowed" if off > ALLOWED or holds else "none is allowed"
    curve = f"between them ‖ν‖ differs by up to {percent(off)} for one word, and {allowed}"
    return _Verdict(holds, f"a {beside.kind} word has from {low:,} to {high:,} other words in its sentences; {curve}")


def _near_zero(beside: _Beside, start: Parameters) -> _Verdict:
    """Compare e^s of the other words with their number, and their mean embedding with ‖ν‖ (B1).

    A relative change of m moves ‖ν‖ by half of it. A mean embedding μ takes μ·ν off ‖ν‖²/2. This is a share ‖q‖‖μ‖ of
    ‖ν‖ at ‖q‖‖ν‖ = 1, where the score is about a half.
    """
    tokens = np.maximum(beside.others.sum(axis=1), 1.0)
    with np.errstate(over="ignore"):
        weight = beside.others @ np.expm1(start.scores) / tokens
    mean = np.linalg.norm(beside.others @ start.embeddings, axis=1) / tokens
    off = float(max(np.abs(weight).max() / 2, np.linalg.norm(start.query) * mean.max()))
    found = f"the scores of the other words and their mean embedding at the start move ‖ν‖ by up to {percent(off)}"
    return _Verdict(off <= ALLOWED, f"{found}, where {percent(ALLOWED)} is allowed")


def _exactly_from_zero(beside: _Beside, start: Parameters) -> _Verdict:
    """Find the largest initial score s_w and embedding norm ‖ν_w‖ of other words, which mean field sets to 0."""
    others = np.delete(np.arange(beside.corpus.n_words), beside.columns)
    score = float(np.abs(start.scores[others]).max(initial=0.0))
    norm = float(np.linalg.norm(start.embeddings[others], axis=1).max(initial=0.0))
    found = f"other words start at scores up to {score:.2g} and norms up to {unlike(norm, SMALL)}"
    return _Verdict(score == 0.0 and norm <= SMALL, f"{found}, where 0 and {SMALL:g} are allowed")


def _rare(beside: _Beside, *, standing_once: bool = False) -> _Verdict:
    """Compare the number T of chosen words with the number D of different other words beside them.

    By law A1 the other words together lose the scores that the chosen words gain, so each falls by κ s with κ = T/D.
    Then e^s/m in the SEN relation (B1) becomes e^{(1+κ)s}/(1+κ)m. This changes ‖ν‖ by less than the share κ up to a
    score of 3, or of 4.6 for LMN21's m = 20. Mean field (C9, C10) includes the loss of words that occur once.
    """
    tokens = beside.others.sum(axis=0)
    different = int(np.count_nonzero(tokens))
    if not different:
        return _Verdict(True, "there are no other words")
    used = beside.corpus.counts[:, np.flatnonzero(tokens)]
    times, words = float(used.sum()) / different, len(beside.words)
    share = words / different
    off = share * (1.0 - 1.0 / times) if standing_once else share
    found = (
        f"{_count(different, 'other word')}, each {_number(times)} times, beside {_count(words, beside.kind + ' word')}"
    )
    law = f"by law A1 each loses on average {percent(share)} of what one of those gains"
    allowed = f"and {percent(ALLOWED)} is allowed"
    if off <= ALLOWED < share:
        allowed = "which the equations include for words that occur once"
    return _Verdict(off <= ALLOWED, f"the sentences hold {found}; {law}, {allowed}")


def _silent(beside: _Beside) -> _Verdict:
    """Look for other words that reveal the label, because only words that are independent of it average out.

    Let p be the shares of the classes. The f labels of an independent word have the shares p̂ with probability at most
    (f + 1)^(n-1) e^{-f KL(p̂‖p)} (Sanov).
    """
    corpus, n = beside.corpus, beside.corpus.n_classes
    kinds = np.eye(n)[corpus.labels]
    seen = csr_array(corpus.counts.astype(bool).astype(float)).T @ kinds
    chosen = np.flatnonzero(beside.others.sum(axis=0))
    classes, times = seen[chosen], seen[chosen].sum(axis=1)
    divergence = rel_entr(classes, np.outer(times, kinds.mean(axis=0))).sum(axis=1)
    evidence = divergence - (n - 1) * np.log1p(times) - np.log(max(chosen.size, 1) / CHANCE)
    telling = np.count_nonzero(evidence > 0)
    if not telling:
        return _Verdict(True, f"none of {chosen.size:,} other words goes with a label by more than chance")
    first = int(evidence.argmax())
    word, kind = corpus.vocabulary[chosen[first]], int(classes[first].argmax())
    usual = f"{int(classes[first, kind]):,} of its {int(times[first]):,} sentences have label {kind}"
    number = f"{telling:,} of {chosen.size:,} other words go with a label by more than chance"
    return _Verdict(False, f"{number}, most of all “{word}”, as {usual}")


def _many(beside: _Beside) -> _Verdict:
    """Count the sentences N_w of the rarest chosen word, because other words memorise sentences.

    By mean field (C9) the other words of a sentence learn at most the share 1/N_w of what its topic word learns. Half
    of this share shows in ‖ν‖ (B2).
    """
    sentences = np.bincount(beside.entries[1])
    rarest = int(sentences.argmin())
    off = 1 / (2 * int(sentences[rarest]))
    found = f"“{beside.words[rarest]}” stands in {sentences[rarest]:,} training sentences"
    moved = f"this moves ‖ν‖ by up to {percent(off)}, and {percent(ALLOWED)} is allowed"
    return _Verdict(off <= ALLOWED, f"{found}, whose own words learn them by heart; {moved}")


def percent(share: float, allowed: float = ALLOWED) -> str:
    """Return a share as a percentage with two digits, or with as many digits as separate it from the allowed share."""
    value, bound = 100 * share, 100 * allowed
    return f"{value:.0f} %" if value >= 10 and f"{value:.0f}" != f"{bound:.0f}" else f"{unlike(value, bound)} %"


def unlike(value: float, bound: float) -> str:
    """Return a number as text with two digits, or with as many digits as separate it from a bound."""
    differing = (digits for digits in range(2, 17) if f"{value:.{digits}g}" != f"{bound:.{digits}g}")
    return f"{value:.{2 if value == bound else next(differing, 17)}g}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
