"""Windows are slices of the passage that share what they should, and labels are the tokens of the answer."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from transformers import CanineTokenizer

from attn_dynamics.errors import InputError
from attn_dynamics.questions import Answers, Features, Question, cut, fitting
from attn_dynamics.questions.features import AT_ONCE
from tests.questions.conftest import asked, needs_squad

LENGTH, STRIDE = 128, 32


def labelled(features: Features, window: Any, shift: int = 0) -> str:
    """What stands in the passage from the first labelled token to the last, both moved by so many tokens."""
    places = np.clip(features.labels[window] + shift, *(features.passage[window] - [0, 1]))
    (begin, _), (_, end) = features.offsets[features.begins[window] + places]
    return features.questions[features.owner[window]].context[begin:end]


@needs_squad
def test_labelled_tokens_hold_the_answer(real: tuple[Question, ...], tokenizer: Any) -> None:
    features = cut(real, tokenizer)
    held = np.flatnonzero(features.labels[:, 1])
    assert set(features.owner[held]) == set(range(len(real)))
    wanted = {k: real[features.owner[k]].answers.texts[0].strip() for k in held}
    assert all(wanted[k] in labelled(features, k) for k in held)
    # And little else: the rest of a token at either end.
    assert max(len(labelled(features, k).strip()) - len(wanted[k]) for k in held) < 12
    # Negative control: the tokens beside them.
    assert np.mean([wanted[k] in labelled(features, k, shift) for k in held for shift in (-1, 1)]) < 0.1


@needs_squad
def test_windows_share_enough_for_any_answer_as_long(real: tuple[Question, ...], tokenizer: Any) -> None:
    features = cut(real, tokenizer, length=LENGTH, stride=STRIDE)
    assert len(features) > 1.5 * len(real)
    held = features.labels[:, 1] > 0
    shorter = {k for k, each in enumerate(real) if len(each.answers.texts[0]) <= STRIDE}
    assert shorter <= set(features.owner[held])
    assert not held.all()
    # Negative control: windows that share nothing cut some answers in two.
    apart = cut(real, tokenizer, length=LENGTH, stride=0)
    assert not shorter <= set(apart.owner[apart.labels[:, 1] > 0])


# --- everything once more, a token at a time

PIECES = ("sea", "brook", "unrunnable", "  ", "\t", ".", "3.14", "Über", "海", "\u200b", "-", "a")


@st.composite
def questions(draw: st.DrawFn) -> list[Question]:
    """Passages with white space and what MiniLM drops; answers from any character to any other."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        context = "".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=40)))
        begin = draw(st.integers(0, len(context) - 1))
        end = draw(st.integers(begin + 1, min(len(context), begin + 12)))
        question = "".join(draw(st.lists(st.sampled_from(PIECES), max_size=3)))
        found.append(Question(str(number), question, context, Answers((context[begin:end],), (begin,))))
    return found


def expected(question: Question, tokenizer: Any, length: int, stride: int) -> list[tuple[list[int], tuple[int, int]]]:
    """Tokens and labels of each window."""
    own, whole = tokenizer(question.question), tokenizer(question.context, return_offsets_mapping=True)
    # Each begins with one special token and ends with one.
    ids, offsets = whole["input_ids"][1:-1], whole["offset_mapping"][1:-1]
    start = question.answers.starts[0]
    wanted = range(start, start + len(question.answers.texts[0]))
    answer = [k for k, (begin, end) in enumerate(offsets) if any(begin <= each < end for each in wanted)]
    before, room = own["input_ids"], length - len(own["input_ids"]) - 1
    found, begin = [], 0
    while True:
        part, labels = ids[begin : begin + room], (0, 0)
        if answer and begin <= answer[0] and answer[-1] < begin + len(part):
            labels = len(before) + answer[0] - begin, len(before) + answer[-1] - begin
        found.append(([*before, *part, before[-1]], labels))
        if begin + room >= len(ids):
            return found
        begin += room - stride


@given(drawn=questions(), length=st.integers(40, 60), stride=st.integers(0, 12))
@settings(max_examples=60)
def test_windows_and_labels_are_those_of_a_token_at_a_time(
    word_pieces: Any, drawn: list[Question], length: int, stride: int
) -> None:
    features = cut(drawn, word_pieces, length=length, stride=stride)
    windows = [each for question in drawn for each in expected(question, word_pieces, length, stride)]
    assert len(features) == len(windows)
    for k, (tokens, labels) in enumerate(windows):
        assert features.tokens[features.begins[k] : features.begins[k + 1]].tolist() == tokens
        assert tuple(features.labels[k]) == labels


def test_an_answer_that_is_cut_is_labelled_where_it_is_whole(word_pieces: Any) -> None:
    context = " ".join(["sea"] * 30 + ["brook", "runs"] + ["sea"] * 30)
    question = asked(context, "brook runs")
    # Which? and three special tokens leave room for 31: the first window ends within the answer.
    features = cut([question], word_pieces, length=36, stride=4)
    assert features.labels.tolist() == [[0, 0], [4 + 3, 4 + 4], [0, 0]]
    assert labelled(features, 1) == "brook runs"
    # Negative control: with nothing shared no window has it.
    assert not cut([question], word_pieces, length=36, stride=0).labels.any()


def test_an_answer_without_a_token_has_no_label(word_pieces: Any) -> None:
    features = cut([Question("q", "Which?", "sea \u200b brook", Answers(("\u200b",), (4,)))], word_pieces)
    assert features.labels.tolist() == [[0, 0]]
    # Negative control: white space beside a word does not matter.
    features = cut([Question("q", "Which?", "sea \u200b brook", Answers(("\u200b brook",), (4,)))], word_pieces)
    assert labelled(features, 0) == "brook"


def test_a_character_of_several_tokens_is_labelled_whole(byte_pairs: Any) -> None:
    features = cut([asked("the sea 海 runs", "海")], byte_pairs)
    first, last = features.labels[0]
    assert last > first
    assert labelled(features, 0).strip() == "海"


# --- batches


def many(number: int) -> list[Question]:
    return [asked(" ".join(["sea"] * (3 * k + 1)) + " brook", "brook", id=str(k)) for k in range(number)]


def test_as_many_random_tokens_are_exempt_as_do_not_belong_to_the_passage(tokenizer: Any) -> None:
    features = cut(many(9), tokenizer)
    drawn = features.with_random_exempt()
    batch = drawn.batch(range(9))
    asking = [len(tokenizer(each.question, each.context)["input_ids"]) for each in many(9)]
    asking = [whole - int(end - begin) for whole, (begin, end) in zip(asking, features.passage, strict=True)]
    assert features.asking.tolist() == asking
    assert batch["exempt_tokens"].sum(axis=1).tolist() == asking
    assert (batch["exempt_tokens"] <= batch["attention_mask"]).all(), "padding is never exempt"
    assert "exempt_tokens" not in features.batch(range(9))
    # Negative control: another seed draws others.
    assert not np.array_equal(features.with_random_exempt(1).batch(range(9))["exempt_tokens"], batch["exempt_tokens"])


def test_a_batch_is_padded_to_its_own_longest(tokenizer: Any) -> None:
    features = cut(many(9), tokenizer)
    rows = [7, 2, 4]
    batch = features.batch(rows)
    mask = batch["attention_mask"]
    assert mask.sum(axis=1).tolist() == features.lengths[rows].tolist()
    assert mask.shape == (3, features.lengths[7])
    assert features.lengths[7] < features.lengths.max()
    assert {each.dtype for each in batch.values()} == {np.dtype(np.int64)}
    assert (batch["input_ids"][mask == 0] == tokenizer.pad_token_id).all()
    for place, row in enumerate(rows):
        alone = tokenizer(many(9)[row].question, many(9)[row].context)
        for name, each in alone.items():
            assert batch[name][place, : len(each)].tolist() == each, name
        assert (batch["start_positions"][place], batch["end_positions"][place]) == tuple(features.labels[row])
    assert (("token_type_ids" in batch), set(batch) - {"token_type_ids"}) == (
        "token_type_ids" in tokenizer.model_input_names,
        {"input_ids", "attention_mask", "start_positions", "end_positions"},
    )


def test_questions_of_several_parts_keep_their_numbers(word_pieces: Any) -> None:
    number = 600
    drawn = [asked(" ".join(["sea"] * (k % 50) + ["brook"]), "brook", id=str(k)) for k in range(number)]
    features = cut(drawn, word_pieces, length=30, stride=2)
    assert len(features) > number
    assert (np.diff(features.owner) <= 1).all()
    held = np.flatnonzero(features.labels[:, 1])
    assert features.owner[held].tolist() == list(range(number))
    assert {labelled(features, k) for k in held} == {"brook"}


def test_those_that_fit_are_found_in_their_order(word_pieces: Any) -> None:
    """Of 31 tokens three are special: a question of 4, then passages of 24 and 25; and a question that has no room."""
    fits, cut_in_two = (asked("sea " * k, "sea", question="sea " * 4, id=str(k)) for k in (24, 25))
    wordy = asked("sea", "sea", question="sea " * 28, id="wordy")
    short = [asked("sea", "sea", id=f"short {k}") for k in range(AT_ONCE)]
    every = [wordy, cut_in_two, fits, *short, fits]
    found = fitting(every, word_pieces, length=31)
    assert found.questions == (fits, *short, fits)
    assert_same(found, cut(found.questions, word_pieces, length=31, stride=0))
    assert len(cut([cut_in_two], word_pieces, length=31, stride=0)) == 2, "negative control"
    assert_same(fitting(every, word_pieces, length=31, most=2), found.first(2))
    assert fitting(every, word_pieces, length=31, shortest=31).questions == (fits, fits)
    with pytest.raises(InputError, match="expected 3 that fit into 31 to 31 tokens, got 2"):
        fitting(every, word_pieces, length=31, shortest=31, most=3)
    with pytest.raises(InputError, match=rf"questions: expected 999 that fit into 31 tokens, got {len(found)}"):
        fitting(every, word_pieces, length=31, most=999)
    with pytest.raises(InputError, match="expected 1 that fit into 31 tokens, got 0"):
        fitting([wordy], word_pieces, length=31)


@pytest.mark.parametrize("number", [1, 2, 9])
def test_the_first_questions_are_those_that_are_cut_alone(word_pieces: Any, number: int) -> None:
    """The first is cut into two windows."""
    every = [asked("sea " * k, "sea", id=str(k)) for k in (40, 3, 25)]
    found, alone = (
        cut(every, word_pieces, length=31, stride=2).with_random_exempt().first(number),
        cut(every[:number], word_pieces, length=31, stride=2).with_random_exempt(),
    )
    assert_same(found, alone)


def assert_same(found: Features, wanted: Features) -> None:
    """Assert that all fields of windows are equal."""
    assert found.questions == wanted.questions
    for field in fields(Features)[1:]:
        assert_array_equal(getattr(found, field.name), getattr(wanted, field.name), err_msg=field.name)


# --- what is refused


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(InputError, match=r"tokenizer: expected a fast one, .* got CanineTokenizer"):
        cut(many(1), CanineTokenizer())


def test_a_question_that_leaves_no_room_is_refused_with_its_id(word_pieces: Any) -> None:
    wordy = asked("The brook runs.", "brook", question="sea " * 20, id="wordy")
    with pytest.raises(InputError, match=r"question wordy: expected a question of at most 19 tokens .* got one of 20"):
        cut([*many(2), wordy], word_pieces, length=31, stride=8)
    # Negative control: one token more is room enough.
    assert len(cut([*many(2), wordy], word_pieces, length=32, stride=8)) > 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"length": 513}, "length: expected 1 to 512 tokens, the limit of the encoder, got 513"),
        ({"length": 0}, "length: expected 1 to 512 tokens"),
        ({"length": 64, "stride": 64}, "stride: expected 0 to 63 tokens, below length, got 64"),
        ({"stride": -1}, "stride: expected 0 to 383 tokens"),
    ],
)
def test_numbers_out_of_range_are_refused(word_pieces: Any, given: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut(many(1), word_pieces, **given)


def test_no_questions_are_refused(word_pieces: Any) -> None:
    with pytest.raises(InputError, match="questions: expected at least one, got none"):
        cut([], word_pieces)
