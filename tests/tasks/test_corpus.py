"""Claim: a corpus holds exactly the words that were given, and what cannot be used is refused in words that help."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array

from attn_dynamics import Corpus
from attn_dynamics.errors import InputError

words = st.one_of(st.text(max_size=3), st.integers(-2, 5), st.tuples(st.integers(0, 2)))
texts = st.lists(st.lists(words, min_size=1, max_size=8), min_size=1, max_size=8)


def bags(corpus: Corpus) -> list[Counter]:
    """The words of every sentence."""
    return [Counter(dict(zip(corpus.vocabulary, row, strict=True))) for row in corpus.counts.toarray().tolist()]


def refused(fragments: tuple[str, ...], call, *arguments, **options) -> None:
    """The call raises, and says what was expected, what came and how to mend it."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert ": expected " in message
    assert ", got " in message
    assert message.rindex(". ") > message.index(", got ")
    for fragment in fragments:
        assert fragment in message


# --- what is kept


@given(texts)
def test_every_sentence_keeps_its_words_and_their_number(sentences: list[list]) -> None:
    corpus = Corpus.from_sentences(sentences, [0] * len(sentences), n_classes=2)
    assert [+bag for bag in bags(corpus)] == [Counter(sentence) for sentence in sentences]
    assert corpus.lengths.tolist() == [len(sentence) for sentence in sentences]
    assert corpus.n_tokens == sum(map(len, sentences))
    assert corpus.n_sentences == len(sentences)
    assert corpus.n_words == len(corpus.vocabulary) == len({word for sentence in sentences for word in sentence})


@given(texts)
def test_the_vocabulary_is_in_order_of_first_appearance(sentences: list[list]) -> None:
    corpus = Corpus.from_sentences(sentences, [1] * len(sentences))
    assert list(corpus.vocabulary) == list(dict.fromkeys(word for sentence in sentences for word in sentence))


@given(texts, st.data())
def test_a_vocabulary_that_is_given_decides_the_columns(sentences: list[list], data: st.DataObject) -> None:
    known = list(dict.fromkeys(word for sentence in sentences for word in sentence))
    vocabulary = data.draw(st.permutations([*known, "in no sentence at all"]), label="vocabulary")
    corpus = Corpus.from_sentences(sentences, [1] * len(sentences), vocabulary=iter(vocabulary))
    assert list(corpus.vocabulary) == vocabulary
    assert [+bag for bag in bags(corpus)] == [Counter(sentence) for sentence in sentences]
    chosen = data.draw(st.lists(st.sampled_from(known)), label="chosen")
    assert [corpus.vocabulary[column] for column in corpus.columns(chosen)] == chosen


@given(texts)
def test_counts_are_sorted_without_double_entries_in_the_types_that_the_kernels_take(sentences: list[list]) -> None:
    counts = Corpus.from_sentences(sentences, [1] * len(sentences)).counts
    assert counts.data.dtype == counts.indices.dtype == counts.indptr.dtype == np.int32
    assert (counts.data > 0).all()
    for start, stop in zip(counts.indptr, counts.indptr[1:], strict=False):
        assert (np.diff(counts.indices[start:stop]) > 0).all()


@given(texts)
def test_numbered_words_make_the_same_corpus(sentences: list[list]) -> None:
    labels = [k % 2 for k in range(len(sentences))]
    corpus = Corpus.from_sentences(sentences, labels, n_classes=3)
    tokens = [corpus.vocabulary.index(word) for sentence in sentences for word in sentence]
    offsets = np.cumsum([0, *map(len, sentences)])
    given_tokens = np.array(tokens, np.int32)
    kept = given_tokens.copy()
    again = Corpus.from_tokens(given_tokens, offsets, labels, corpus.vocabulary, n_classes=3)
    np.testing.assert_array_equal(again.counts.toarray(), corpus.counts.toarray())
    assert again.labels.tolist() == labels
    assert again.n_classes == corpus.n_classes == 3
    np.testing.assert_array_equal(given_tokens, kept)


def test_a_small_corpus_in_full() -> None:
    corpus = Corpus.from_sentences([["b", "a", "b"], ["c"]], [1, 0])
    assert corpus.vocabulary == ("b", "a", "c")
    assert corpus.counts.toarray().tolist() == [[2, 1, 0], [0, 0, 1]]
    assert corpus.labels.tolist() == [1, 0]
    assert corpus.labels.dtype == np.int64
    assert corpus.n_classes == 2


def test_classes_are_counted_from_the_largest_label_unless_said() -> None:
    sentences = [["a"], ["b"]]
    assert Corpus.from_sentences(sentences, [0, 4]).n_classes == 5
    assert Corpus.from_sentences(sentences, [0, 0], n_classes=2).n_classes == 2
    assert Corpus.from_sentences(sentences, np.array([0, 1], np.uint8)).labels.dtype == np.int64


def test_sentences_may_be_any_sequences_that_come_one_by_one() -> None:
    corpus = Corpus.from_sentences((pair for pair in (("x", "y"), ["y"])), (0, 1))
    assert corpus.counts.toarray().tolist() == [[1, 1], [0, 1]]


def test_labels_that_are_given_may_be_changed_afterwards() -> None:
    labels = np.array([0, 1])
    corpus = Corpus.from_sentences([["a"], ["b"]], labels)
    labels[:] = 9
    assert corpus.labels.tolist() == [0, 1]


# --- what is refused

PAIR = [["a", "b"], ["b"]]


@pytest.mark.parametrize(
    ("fragments", "sentences", "labels", "options"),
    [
        (
            ("sentences: expected at least one word in each", "1 without words, the first at index 1"),
            [["a"], []],
            [0, 1],
            {},
        ),
        (("2 without words, the first at index 0",), [[], ["a"], []], [0, 1, 1], {}),
        (("labels: expected at least two classes", "n_classes = 1", "say n_classes"), PAIR, [0, 0], {}),
        (("labels: expected classes from 0 to 1", "labels from 0 to 2"), PAIR, [0, 2], {"n_classes": 2}),
        (("labels from -1 to 1",), PAIR, [-1, 1], {}),
        (("labels: expected a sequence of integers", "float64"), PAIR, [0.0, 1.0], {}),
        (("labels: expected a sequence of integers or of names", "<U"), PAIR, ["good", 1], {}),
        (("labels: expected a sequence of integers or of names", "|S"), PAIR, [b"good", b"bad"], {}),
        (("labels: expected a sequence of integers", "bool"), PAIR, [True, False], {}),
        (("labels: expected a sequence of integers", "shape (2, 1)"), PAIR, [[0], [1]], {}),
        (("labels: expected one label for each sentence", "3 labels for 2 sentences"), PAIR, [0, 1, 1], {}),
        (("1 labels for 2 sentences",), PAIR, [1], {}),
        (("at least one sentence", "0 labels for 0 sentences"), [], [], {}),
        (
            ("vocabulary: expected a collection", "'a'"),
            [["a"], ["b"]],
            [0, 1],
            {"vocabulary": "a"},
        ),
        (("vocabulary", "'a'"), [["a"], ["a"]], [0, 1], {"vocabulary": ["a", "a", "b"]}),
    ],
)
def test_sentences_that_cannot_be_used_are_refused(fragments, sentences, labels, options) -> None:
    refused(fragments, Corpus.from_sentences, sentences, labels, **options)


def test_numbers_that_name_no_word_are_refused() -> None:
    for tokens, given_ in (([0, 2], "numbers from 0 to 2"), ([-1, 0], "numbers from -1 to 0")):
        fragments = ("tokens: expected word numbers from 0 to 1", given_)
        refused(fragments, Corpus.from_tokens, np.array(tokens, np.int32), np.array([0, 1, 2]), [0, 1], ("a", "b"))


def test_a_vocabulary_that_does_not_fit_the_counts_is_refused() -> None:
    counts = csr_array(np.ones((2, 3), np.int32))
    fragments = ("vocabulary: expected 3 words", "2 words", "same order")
    refused(fragments, Corpus, counts=counts, labels=np.array([0, 1]), vocabulary=("a", "b"), n_classes=2)


def test_a_word_that_is_asked_for_and_not_there_is_named() -> None:
    corpus = Corpus.from_sentences(PAIR, [0, 1])
    refused(("words: expected words of the vocabulary (2 words)", "'z'"), corpus.columns, ["a", "z"])


@pytest.mark.parametrize("text", ["bad film", b"bad film", bytearray(b"bad film")])
def test_a_text_is_no_sequence_of_words(text: object) -> None:
    with pytest.raises(InputError, match="sentence 1: expected a sequence of words"):
        Corpus.from_sentences([["good", "film"], text], [0, 1])  # pyright: ignore[reportArgumentType]


# --- classes by name


def test_names_become_classes_in_their_order_and_are_kept() -> None:
    corpus = Corpus.from_sentences([["a"], ["b"], ["a"]], ["good", "bad", "good"])
    assert corpus.labels.tolist() == [1, 0, 1]
    assert corpus.class_names == ("bad", "good")
    assert corpus.n_classes == 2
    assert Corpus.from_sentences([["a"], ["b"]], [1, 0]).class_names == ()
    of_numpy = Corpus.from_sentences([["a"], ["b"]], np.array(["good", "bad"]))
    assert {type(name) for name in of_numpy.class_names} == {str}


def test_an_order_of_names_that_is_given_decides_the_classes() -> None:
    names = ("so-so", "good", "bad")
    corpus = Corpus.from_sentences([["a"], ["b"]], np.array(["good", "bad"], object), class_names=names)
    assert corpus.labels.tolist() == [1, 2]
    assert (corpus.class_names, corpus.n_classes) == (names, 3)
    assert Corpus.from_sentences([["a"], ["b"]], [0, 2], class_names=names).class_names == names


@pytest.mark.parametrize(
    ("fragments", "labels", "options"),
    [
        (("labels: expected names among good, bad", "'fine'"), ["good", "fine"], {"class_names": ("good", "bad")}),
        (("class_names: expected each name once", "'a' more than once"), ["a", "b"], {"class_names": ("a", "a", "b")}),
        (("class_names: expected 3 names", "got 2"), ["a", "b"], {"n_classes": 3}),
        (("labels: expected at least two classes", "n_classes = 1"), ["a", "a"], {}),
    ],
)
def test_names_that_fit_no_class_are_refused(fragments, labels, options) -> None:
    refused(fragments, Corpus.from_sentences, PAIR, labels, **options)


# --- numbers that cannot be held


def made_of(data: Any, indices: list[int], indptr: list[int], shape: tuple[int, int]) -> csr_array:
    """A sparse array with these very arrays, which scipy does not check."""
    counts = csr_array(shape, dtype=np.asarray(data).dtype)
    counts.data, counts.indices, counts.indptr = np.asanyarray(data), np.asarray(indices), np.asarray(indptr)
    return counts


def masked(values: object) -> Any:
    """Integers of which the last are masked."""
    array = np.ma.array(values, dtype=np.int64)
    array[..., -1] = np.ma.masked
    return array


COUNTS: dict[str, tuple[Any, str]] = {
    "one count of more than 32 bits": (csr_array([[2**32 + 1, 1], [1, 1]]), "counts below 2³¹, got 4,294,967,297"),
    "unsigned": (csr_array(np.array([[2**64 - 1, 1], [1, 1]], np.uint64)), "counts below 2³¹"),
    "entries of one place": (
        made_of(np.array([2**30, 2**30, 1]), [0, 0, 1], [0, 2, 3], (2, 2)),
        "counts below 2³¹, got 2,147,483,648",
    ),
    "an index beyond the words": (made_of([1, 1], [0, 7], [0, 1, 2], (2, 2)), "sparse array of N sentences × V words"),
    "an index below 0": (made_of([1, 1], [0, -5], [0, 1, 2], (2, 2)), "sparse array of N sentences × V words"),
    "offsets that fall": (made_of([1, 1], [0, 1], [0, 2, 1], (2, 2)), "sparse array of N sentences × V words"),
    "an index beyond, in columns": (
        csc_array((np.ones(2, int), [0, 9], [0, 1, 2]), shape=(2, 2)),
        "sparse array of N sentences × V words",
    ),
    "complex": (csr_array(np.ones((2, 2), complex)), "whole numbers from 1, got complex128"),
    "a dense array, masked": (masked([[1, 1], [1, 1]]), "got a masked array"),
    "masked entries": (made_of(masked([1, 1]), [0, 1], [0, 1, 2], (2, 2)), "got a masked array"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_counts_that_cannot_be_held_are_refused(case: str) -> None:
    counts, fragment = COUNTS[case]
    refused((fragment,), Corpus, counts=counts, labels=np.array([0, 1]), vocabulary=("a", "b"), n_classes=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
@pytest.mark.parametrize("kind", ["csr", "coo", "csc"])
def test_entries_of_one_place_add_up_in_narrow_types_too(dtype: type, kind: str) -> None:
    entries = (np.array([100, 90, 80, 1], dtype), ([0, 0, 0, 1], [0, 0, 0, 1]))
    counts: Any = coo_array(entries, shape=(2, 2))
    if kind == "csr":
        counts = made_of(entries[0], [0, 0, 0, 1], [0, 3, 4], (2, 2))
    elif kind == "csc":
        counts = csc_array((entries[0], [0, 0, 0, 1], [0, 3, 4]), shape=(2, 2))
    corpus = Corpus(counts=counts, labels=np.array([0, 1]), vocabulary=("a", "b"), n_classes=2)
    assert corpus.counts.toarray().tolist() == [[270, 0], [0, 1]]


GOOD: dict[str, Any] = {"tokens": [0, 1, 1], "offsets": [0, 2, 3], "labels": [0, 1], "vocabulary": ("a", "b")}


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"tokens": np.array([0.0, 1.9, 1.0])}, "tokens: expected a vector of integers"),
        ({"tokens": masked([0, 1, 1])}, "masked int64"),
        ({"tokens": np.array([0, 1, 2**32])}, "numbers from 0 to 4294967296"),
        ({"tokens": np.array([[0, 1, 1]])}, "shape (1, 3)"),
        ({"offsets": [0, 2]}, "offsets that rise from 0 to the 3 tokens"),
        ({"offsets": [1, 2, 3]}, "offsets that rise from 0"),
        ({"offsets": [0, 4, 3]}, "offsets that rise from 0"),
        ({"offsets": np.array([0, 2**32 + 2, 3])}, "offsets that rise from 0"),
        ({"offsets": np.array([0, 2, 2**32 + 3])}, "offsets that rise from 0"),
        ({"offsets": []}, "offsets that rise from 0"),
        ({"offsets": np.array([0.0, 2.5, 3.0])}, "offsets: expected a vector of integers"),
        ({"labels": masked([0, 1])}, "labels: expected a sequence of integers"),
        ({"labels": np.array([0, 2**64 - 1], np.uint64)}, "18446744073709551615, beyond 64 bits"),
        ({"labels": np.array([0, 1j])}, "complex128"),
        ({"vocabulary": ("a", "a")}, "vocabulary: expected each word once, got 'a' more than once"),
        ({"n_classes": 2.5}, "n_classes: expected an integer, 0 or more, got 2.5"),
        ({"n_classes": float("nan")}, "n_classes: expected an integer, 0 or more, got nan"),
    ],
)
def test_numbers_that_would_be_cut_or_wrap_are_refused(change: dict, fragment: str) -> None:
    assert Corpus.from_tokens(**GOOD).counts.toarray().tolist() == [[1, 1], [0, 1]]
    refused((fragment,), Corpus.from_tokens, **GOOD | change)
