"""Questions with their passages as windows of tokens that fit an encoder, with the position of the answers.

A passage that is too long for one window is cut into several, each with the whole question before it. Arrays store
all windows end to end, so that padding is added only per batch.
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
"""Number of questions whose tokens are lists at the same time; lists take thirty times the memory of arrays."""


@final
@dataclass(frozen=True, eq=False)
class Features:
    """F windows of Q questions with T tokens in all; the windows of a question are adjacent."""

    questions: tuple[Question, ...]
    """(Q,) the questions."""
    tokens: NDArray[np.int32]
    """(T,) token ids for the encoder."""
    kinds: NDArray[np.int8] | None
    """(T,) 0 for the question and 1 for the passage; None if the encoder does not use them."""
    offsets: NDArray[np.int32]
    """(T, 2) first character and the one after the last, in the question or the passage."""
    begins: Ints
    """(F + 1,) index in T of each window's first token."""
    owner: Ints
    """(F,) index of the question of each window, below Q."""
    passage: Ints
    """(F, 2) first token of the passage in the window, and the token after its last."""
    labels: Ints
    """(F, 2) first and last token of the first answer, both 0 if the window does not contain all of it."""
    padding: int
    """Token id that pads a batch."""
    exempt: NDArray[np.bool_] | None = None
    """(T,) tokens exempt from the bell; None if the encoder finds them itself, or if there are none."""

    @property
    def lengths(self) -> Ints:
        """(F,) number of tokens of each window."""
        return np.diff(self.begins)

    @property
    def asking(self) -> Ints:
        """(F,) number of tokens of each window that do not belong to the passage: question and special tokens."""
        return self.lengths - (self.passage[:, 1] - self.passage[:, 0])

    def with_random_exempt(self, seed: int = 0) -> "Features":
        """Return the same windows with as many exempt tokens, drawn at random, as do not belong to the passage."""
        random, exempt = np.random.default_rng(seed), np.zeros(len(self.tokens), dtype=bool)
        for begin, length, number in zip(self.begins, self.lengths, self.asking, strict=False):
            exempt[begin + random.choice(length, number, replace=False)] = True
        return replace(self, exempt=exempt)

    def __len__(self) -> int:
        return len(self.owner)

    def batch(self, windows: Sequence[int] | Ints) -> dict[str, Ints]:
        """Return windows padded on the right to the longest of them, by the argument names of the models.

        They are `input_ids`, `attention_mask` and, if there are such, `token_type_ids` and `exempt_tokens` (B, L), and
        `start_positions` and `end_positions` (B,).
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
        InputError: the tokenizer is slow, there are no questions, a number is out of range, or a question is too long
            for any of its passage to fit.
    """
    _check(questions, tokenizer, length, stride)
    parts = [
        _encode(questions[k : k + AT_ONCE], k, tokenizer, length, stride) for k in range(0, len(questions), AT_ONCE)
    ]
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


def fitting(
    questions: Sequence[Question], tokenizer: Any, *, length: int, most: int | None = None
) -> tuple[Question, ...]:
    """Return the questions that fit into one window with their passage: the first `most` of them, or all.

    Raises:
        InputError: fewer than `most` fit, or none; or `cut` refuses the input.
    """
    found: list[Question] = []
    for k in range(0, len(questions), AT_ONCE):
        if most is not None and len(found) >= most:
            break
        some = questions[k : k + AT_ONCE]
        longest = _longest(tokenizer, length, stride=0)
        some = [each for each, own in zip(some, _lengths(some, tokenizer), strict=True) if own <= longest]
        windows = np.bincount(cut(some, tokenizer, length=length, stride=0).owner) if some else []
        found += [each for each, number in zip(some, windows, strict=True) if number == 1]
    if len(found) < (most or 1):
        expected, fix = f"{most or 1:,} that fit into {length} tokens", "Ask for fewer, or make windows longer."
        raise InputError("questions", expected=expected, given=f"{len(found):,}", fix=fix)
    return tuple(found[:most])


class _Part(NamedTuple):
    """Windows of some questions, with the field names of `Features`."""

    tokens: NDArray[np.int32]
    kinds: NDArray[np.int8] | None
    offsets: NDArray[np.int32]
    lengths: Ints
    owner: Ints
    passage: Ints


def _encode(questions: Sequence[Question], number: int, tokenizer: Any, length: int, stride: int) -> _Part:
    """Return the windows of questions, of which the first has the index `number`."""
    _check_room(questions, tokenizer, length, stride)
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
    """Return the bounds of the second text in one window; 0, 0 if it has no token there."""
    if 1 not in sequences:
        return 0, 0
    return sequences.index(1), len(sequences) - sequences[::-1].index(1)


def _labels(questions: Sequence[Question], offsets: NDArray, begins: Ints, owner: Ints, passage: Ints) -> Ints:
    """Return the first and last token that shares a character with the answer, or zeros (F, 2).

    A window counts if it has as much of the answer as all windows of the question together. The full text is no
    measure, because white space and characters that the tokenizer drops belong to no token.
    """
    texts, starts = zip(*((each.answers.texts[0], each.answers.starts[0]) for each in questions), strict=True)
    wanted = np.array([[start, start + len(text)] for text, start in zip(texts, starts, strict=True)])[owner]
    window = np.repeat(np.arange(len(owner)), np.diff(begins))
    place = np.arange(begins[-1]) - begins[window]
    inside = (passage[window, 0] <= place) & (place < passage[window, 1])
    shared = np.stack(
        [np.maximum(offsets[:, 0], wanted[window, 0]), np.minimum(offsets[:, 1], wanted[window, 1])], axis=1
    )
    met = inside & (shared[:, 0] < shared[:, 1])
    far = np.iinfo(np.int64).max
    least = lambda of: np.minimum.reduceat(np.where(met, of, far), begins[:-1])  # noqa: E731
    most = lambda of: np.maximum.reduceat(np.where(met, of, -1), begins[:-1])  # noqa: E731
    held = np.stack([least(shared[:, 0]), most(shared[:, 1])], axis=1)
    firsts = np.searchsorted(owner, np.arange(len(questions)))
    whole = np.stack([np.minimum.reduceat(held[:, 0], firsts), np.maximum.reduceat(held[:, 1], firsts)], axis=1)
    holds = (held[:, 1] >= 0) & (held == whole[owner]).all(axis=1)
    return np.where(holds[:, None], np.stack([least(place), most(place)], axis=1), 0)


def _check(questions: Sequence[Question], tokenizer: Any, length: int, stride: int) -> None:
    if not getattr(tokenizer, "is_fast", False):
        given, fix = type(tokenizer).__name__, "Load it by AutoTokenizer, or name another encoder."
        raise InputError("tokenizer", expected="a fast one, which knows its characters", given=given, fix=fix)
    if not questions:
        raise InputError("questions", expected="at least one", given="none", fix="Give some.")
    if not 1 <= length <= tokenizer.model_max_length:
        expected, fix = f"1 to {tokenizer.model_max_length} tokens, what the encoder takes", "Choose another length."
        raise InputError("length", expected=expected, given=length, fix=fix)
    if not 0 <= stride < length:
        fix = "Let windows share fewer tokens."
        raise InputError("stride", expected=f"0 to {length - 1} tokens, below length", given=stride, fix=fix)


def _check_room(questions: Sequence[Question], tokenizer: Any, length: int, stride: int) -> None:
    """Check that each window fits one token more than it shares: the library's own error ends the process."""
    longest = _longest(tokenizer, length, stride)
    for question, own in zip(questions, _lengths(questions, tokenizer), strict=True):
        if own > longest:
            given = f"one of {own} tokens"
            expected = f"a question of at most {longest} tokens (length {length}, stride {stride})"
            fix = "Make windows longer or the stride smaller, or leave the question out."
            raise InputError(f"question {question.id}", expected=expected, given=given, fix=fix)


def _lengths(questions: Sequence[Question], tokenizer: Any) -> list[int]:
    """Return the number of tokens of each question alone."""
    found = tokenizer([each.question for each in questions], add_special_tokens=False)["input_ids"]
    return [len(each) for each in found]


def _longest(tokenizer: Any, length: int, stride: int) -> int:
    """Return the largest number of tokens of a question."""
    return length - 1 - stride - tokenizer.num_special_tokens_to_add(pair=True)
