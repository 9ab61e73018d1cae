"""Questions and passages as windows of tokens that fit an encoder, with the positions of the answers.

A passage that is too long for one window is cut into several, each after the whole question. Arrays store all windows
end to end, so that only batches are padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.questions.squad import Question

Ints = NDArray[np.int64]
AT_ONCE = 256
"""Number of questions whose tokens are lists at a time; lists take thirty times the memory of arrays."""


@final
@dataclass(frozen=True, eq=False)
class Features:
    """F windows of Q questions with T tokens in all; the windows of a question are adjacent."""

    questions: tuple[Question, ...]
    """Questions (Q,)."""
    tokens: NDArray[np.int32]
    """Token ids (T,) for the encoder."""
    kinds: NDArray[np.int8] | None
    """Segment (T,) of each token, 0 in the question and 1 in the passage; None if the encoder does not use it."""
    offsets: NDArray[np.int32]
    """Index (T, 2) of the first character of each token and of the one after it, in the question or passage."""
    begins: Ints
    """Index (F + 1,) of the first token of each window, then the number T of tokens."""
    owner: Ints
    """Index (F,) of the question of each window."""
    passage: Ints
    """Index (F, 2) of the first token of the passage within the window, and of the token after it."""
    labels: Ints
    """Index (F, 2) of the first and last token of the first answer; both 0 if the window lacks part of it."""
    padding: int
    """Token id of padding."""
    exempt: NDArray[np.bool_] | None = None
    """Mask (T,) of tokens exempt from the bell; None if there are none or the encoder finds them."""

    @property
    def lengths(self) -> Ints:
        """Return the number (F,) of tokens in each window."""
        return np.diff(self.begins)

    @property
    def asking(self) -> Ints:
        """Return the number (F,) of tokens outside the passage in each window: question and special tokens."""
        return self.lengths - (self.passage[:, 1] - self.passage[:, 0])

    def with_random_exempt(self, seed: int = 0) -> "Features":
        """Return the windows with random exempt tokens, as many in each as there are tokens outside the passage."""
        random, exempt = np.random.default_rng(seed), np.zeros(len(self.tokens), dtype=bool)
        for begin, length, number in zip(self.begins, self.lengths, self.asking, strict=False):
            exempt[begin + random.choice(length, number, replace=False)] = True
        return replace(self, exempt=exempt)

    def first(self, number: int) -> "Features":
        """Return the windows of the first `number` questions."""
        windows = int(np.searchsorted(self.owner, number))
        tokens = int(self.begins[windows])
        by_token = {name: getattr(self, name) for name in ("tokens", "kinds", "offsets", "exempt")}
        return replace(
            self,
            questions=self.questions[:number],
            begins=self.begins[: windows + 1],
            **{name: getattr(self, name)[:windows] for name in ("owner", "passage", "labels")},
            **{name: each if each is None else each[:tokens] for name, each in by_token.items()},
        )

    def __len__(self) -> int:
        return len(self.owner)

    def batch(self, windows: Sequence[int] | Ints) -> dict[str, Ints]:
        """Return windows padded on the right to the longest of them, by the argument names of the models.

        The arguments (B, L) are `input_ids`, `attention_mask` and, if the windows have them, `token_type_ids` and
        `exempt_tokens`. The arguments (B,) are `start_positions` and `end_positions`.
        """
        rows = np.asarray(windows, np.int64)
        places = self.begins[rows][:, None] + np.arange(self.lengths[rows].max())
        real = places < self.begins[rows + 1][:, None]
        places[~real] = 0
        found = {"input_ids": np.where(real, self.tokens[places], self.padding), "attention_mask": real.astype(int)}
        if self.kinds is not None:
            found["token_type_ids"] = np.where(real, self.kinds[places], 0)
        if self.exempt is not None:
            found["exempt_tokens"] = real & self.exempt[places]
        starts, ends = self.labels[rows].T
        whole = {name: each.astype(np.int64) for name, each in found.items()}
        return {**whole, "start_positions": starts, "end_positions": ends}


def cut(questions: Sequence[Question], tokenizer: Any, *, length: int = 384, stride: int = 128) -> Features:
    """Cut questions into windows.

    Args:
        questions: one or more.
        tokenizer: a fast tokenizer of `transformers`.
        length: largest number of tokens of a window.
        stride: number of passage tokens that a window shares with the next.

    Raises:
        InputError: the tokenizer is slow, there are no questions, a number is out of range, or a question leaves no
            room for its passage.
    """
    _check(questions, tokenizer, length, stride)
    parts = []
    for k in range(0, len(questions), AT_ONCE):
        some = questions[k : k + AT_ONCE]
        _check_room(some, tokenizer, length, stride)
        parts.append(_encode(some, k, tokenizer, length, stride))
    return _features(questions, parts, tokenizer)


def fitting(
    questions: Sequence[Question], tokenizer: Any, *, length: int, shortest: int = 1, most: int | None = None
) -> Features:
    """Return the windows of the questions that fit into one with their passage, or of the first `most` of them.

    Args:
        questions: one or more.
        tokenizer: a fast tokenizer of `transformers`.
        length: largest number of tokens of a window.
        shortest: smallest number of tokens of a window.
        most: number of questions; None means all.

    Raises:
        InputError: none or fewer than `most` fit, the tokenizer is slow, there are no questions, or the length is out
            of range.
    """
    _check(questions, tokenizer, length, stride=0)
    found: list[Question] = []
    parts: list[_Part] = []
    longest = _longest(tokenizer, length, stride=0)
    for k in range(0, len(questions), AT_ONCE):
        if most is not None and len(found) >= most:
            break
        some = questions[k : k + AT_ONCE]
        some = [each for each, own in zip(some, _lengths(some, tokenizer), strict=True) if own <= longest]
        if some:
            part = _encode(some, 0, tokenizer, length, stride=0)
            alone = (np.bincount(part.owner) == 1)[part.owner] & (part.lengths >= shortest)
            parts.append(part.where(alone, len(found)))
            found += [some[owner] for owner in part.owner[alone]]
    if len(found) < (most or 1):
        most_tokens = f"{shortest} to {length}" if shortest > 1 else f"{length}"
        expected, fix = f"{most or 1:,} that fit into {most_tokens} tokens", "Ask for fewer, or allow more lengths."
        raise InputError("questions", expected=expected, given=f"{len(found):,}", fix=fix)
    return _features(found, parts, tokenizer).first(most or len(found))


class _Part(NamedTuple):
    """Windows of some questions, with the fields of `Features`."""

    tokens: NDArray[np.int32]
    kinds: NDArray[np.int8] | None
    offsets: NDArray[np.int32]
    lengths: Ints
    owner: Ints
    passage: Ints

    def where(self, alone: NDArray[np.bool_], number: int) -> "_Part":
        """Return some windows, each the only one of its question, with their questions numbered anew.

        Args:
            alone: mask (F,) of these windows.
            number: new number of the first question.
        """
        tokens = np.repeat(alone, self.lengths)
        return _Part(
            tokens=self.tokens[tokens],
            kinds=None if self.kinds is None else self.kinds[tokens],
            offsets=self.offsets[tokens],
            lengths=self.lengths[alone],
            owner=number + np.arange(alone.sum()),
            passage=self.passage[alone],
        )


def _features(questions: Sequence[Question], parts: Sequence[_Part], tokenizer: Any) -> Features:
    """Return all windows of questions, with their labels."""
    kinds = [each.kinds for each in parts if each.kinds is not None]
    offsets, owner, passage = (_joined(parts, name) for name in ("offsets", "owner", "passage"))
    begins = np.concatenate([[0], np.cumsum(_joined(parts, "lengths"))])
    return Features(
        questions=tuple(questions),
        tokens=_joined(parts, "tokens"),
        kinds=np.concatenate(kinds) if kinds else None,
        offsets=offsets,
        begins=begins,
        owner=owner,
        passage=passage,
        labels=_labels(questions, offsets, begins, owner, passage),
        # Padding is masked, but some encoders count their positions by this id.
        padding=0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )


def _encode(questions: Sequence[Question], number: int, tokenizer: Any, length: int, stride: int) -> _Part:
    """Return the windows of questions, which leave room; `number` is the index of the first question."""
    found = tokenizer(
        [each.question for each in questions],
        [each.context for each in questions],
        max_length=length,
        padding=False,
        return_offsets_mapping=True,
        return_overflowing_tokens=True,
        stride=stride,
        truncation="only_second",
    )
    kinds, windows = found.get("token_type_ids"), len(found["input_ids"])
    return _Part(
        tokens=_flat(found["input_ids"], np.int32),
        kinds=None if kinds is None else _flat(kinds, np.int8),
        offsets=_flat(found["offset_mapping"], np.int32),
        lengths=np.array([len(each) for each in found["input_ids"]]),
        owner=number + np.asarray(found["overflow_to_sample_mapping"], np.int64),
        passage=np.array([_passage(found.sequence_ids(k)) for k in range(windows)]),
    )


def _flat(windows: Sequence[Sequence[Any]], dtype: type[np.integer]) -> NDArray:
    return np.concatenate([np.asarray(each, dtype) for each in windows])


def _joined(parts: Sequence[_Part], name: str) -> NDArray:
    return np.concatenate([getattr(each, name) for each in parts])


def _passage(sequences: Sequence[int | None]) -> tuple[int, int]:
    """Return the bounds of the second text in a window; 0, 0 if it has no token there."""
    if 1 not in sequences:
        return 0, 0
    return sequences.index(1), len(sequences) - sequences[::-1].index(1)


def _labels(questions: Sequence[Question], offsets: NDArray, begins: Ints, owner: Ints, passage: Ints) -> Ints:
    """Return the first and last token that shares a character with the answer, or zeros (F, 2).

    A window counts if it has as much of the answer as all windows of the question together. The full text is no
    measure, because white space and characters that the tokenizer drops belong to no token.
    """
    first = ((each.answers.starts[0], len(each.answers.texts[0])) for each in questions)
    start, stop = np.array([[start, start + length] for start, length in first])[owner].T
    window = np.repeat(np.arange(len(owner)), np.diff(begins))
    place = np.arange(begins[-1]) - begins[window]
    inside = (passage[window, 0] <= place) & (place < passage[window, 1])
    low, high = np.maximum(offsets[:, 0], start[window]), np.minimum(offsets[:, 1], stop[window])
    shared = inside & (low < high)
    characters, firsts = _extent(shared, low, high, begins), np.searchsorted(owner, np.arange(len(questions)))
    whole = np.minimum.reduceat(characters[:, 0], firsts), np.maximum.reduceat(characters[:, 1], firsts)
    complete = (characters[:, 1] >= 0) & (characters == np.stack(whole, axis=1)[owner]).all(axis=1)
    return np.where(complete[:, None], _extent(shared, place, place, begins), 0)


def _extent(mask: NDArray[np.bool_], low: Ints, high: Ints, begins: Ints) -> Ints:
    """Return the smallest `low` and the largest `high` (F, 2) among the tokens of each window in the mask (T,)."""
    least = np.minimum.reduceat(np.where(mask, low, np.iinfo(np.int64).max), begins[:-1])
    return np.stack([least, np.maximum.reduceat(np.where(mask, high, -1), begins[:-1])], axis=1)


def _check(questions: Sequence[Question], tokenizer: Any, length: int, stride: int) -> None:
    if not getattr(tokenizer, "is_fast", False):
        given, fix = type(tokenizer).__name__, "Load it by AutoTokenizer, or name another encoder."
        raise InputError("tokenizer", expected="a fast one, which gives the characters of tokens", given=given, fix=fix)
    if not questions:
        raise InputError("questions", expected="at least one", given="none", fix="Give a question.")
    if not 1 <= length <= tokenizer.model_max_length:
        expected, fix = f"1 to {tokenizer.model_max_length} tokens, the limit of the encoder", "Choose another length."
        raise InputError("length", expected=expected, given=length, fix=fix)
    if not 0 <= stride < length:
        fix = "Let windows share fewer tokens."
        raise InputError("stride", expected=f"0 to {length - 1} tokens, below length", given=stride, fix=fix)


def _check_room(questions: Sequence[Question], tokenizer: Any, length: int, stride: int) -> None:
    """Check that each window fits one token more than it shares, because the library's error ends the process."""
    longest = _longest(tokenizer, length, stride)
    for question, own in zip(questions, _lengths(questions, tokenizer), strict=True):
        if own > longest:
            given = f"one of {own} tokens"
            expected = f"a question of at most {longest} tokens (length {length}, stride {stride})"
            fix = "Make windows longer or the stride smaller, or leave the question out."
            raise InputError(f"question {question.id}", expected=expected, given=given, fix=fix)


def _lengths(questions: Sequence[Question], tokenizer: Any) -> list[int]:
    """Return the number of tokens of each question, without special tokens."""
    found = tokenizer([each.question for each in questions], add_special_tokens=False)["input_ids"]
    return [len(each) for each in found]


def _longest(tokenizer: Any, length: int, stride: int) -> int:
    """Return the largest number of tokens that a question may have."""
    return length - 1 - stride - tokenizer.num_special_tokens_to_add(pair=True)
