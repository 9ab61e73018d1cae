"""Labelled text files become tasks; whatever cannot be read is refused in words that help."""

import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.text import task_from_splits, text_task
from attn_dynamics.tasks.treebank import sst_folder
from tests.support import needs_sst

SST = sst_folder() or Path("nowhere")


def write(folder: Path, **contents: str) -> Path:
    for split, content in contents.items():
        (folder / f"{split}.txt").write_text(content, encoding="utf-8")
    return folder


def lines(n: int) -> str:
    return "".join(f"{i % 2} word{i} shared\n" for i in range(n))


def sentences(corpus: Corpus) -> list[tuple[int, dict[str, int]]]:
    dense = corpus.counts.toarray()
    return [
        (int(label), {str(corpus.vocabulary[w]): int(row[w]) for w in np.flatnonzero(row)})
        for label, row in zip(corpus.labels, dense, strict=True)
    ]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path, train="1 good good film\n0 bad film\n", dev="0 bad good\n", test="1 new film\n0 novel\n")


# --- what comes back


def test_a_folder_gives_the_three_splits_over_one_vocabulary(small: Path) -> None:
    task = text_task(small)
    assert task.name == str(small)
    assert task.train.vocabulary == ("good", "film", "bad", "new", "novel")
    assert sentences(task.train) == [(1, {"good": 2, "film": 1}), (0, {"film": 1, "bad": 1})]
    assert task.dev is not None
    assert sentences(task.dev) == [(0, {"good": 1, "bad": 1})]
    assert task.test is not None
    assert sentences(task.test) == [(1, {"film": 1, "new": 1}), (0, {"novel": 1})]
    assert task.notes == ()


def test_the_training_vocabulary_leaves_out_other_words_and_says_which_sentences_it_drops(small: Path) -> None:
    task = text_task(small, vocabulary="train")
    assert task.train.vocabulary == ("good", "film", "bad")
    assert task.test is not None
    assert sentences(task.test) == [(1, {"film": 1})]
    assert task.notes == ("Of 2 test sentences, dropped 1 without words of the training vocabulary.",)


def test_a_word_first_seen_in_test_of_a_shuffled_file_is_no_training_word(tmp_path: Path) -> None:
    (tmp_path / "data").write_text(lines(100))
    for seed in range(5):
        train = text_task(tmp_path / "data", vocabulary="train", seed=seed).train
        assert train.n_words == len(np.unique(train.counts.indices)) == 81
        everything = text_task(tmp_path / "data", seed=seed)
        assert everything.train.n_words == 101
        assert everything.train.vocabulary[:81] == train.vocabulary


def test_the_name_can_be_given(small: Path) -> None:
    assert text_task(small, name="mine").name == "mine"


def test_lmn21_deletes_punctuation_and_keeps_case_where_whitespace_keeps_both(tmp_path: Path) -> None:
    folder = write(tmp_path, train="1 It 's a-b good_ , it\n0 naïve x\n", test="0 x\n")
    assert text_task(folder).train.vocabulary == ("It", "s", "ab", "good_", "it", "naïve", "x")
    expected = ("It", "'s", "a-b", "good_", ",", "it", "naïve", "x")
    assert text_task(folder, preparation="whitespace").train.vocabulary == expected


@pytest.mark.parametrize(("low", "high"), [("-1", "+1"), ("1", "5"), ("-9223372036854775808", "7")])
def test_any_integers_are_labels_and_their_order_numbers_the_classes(tmp_path: Path, low: str, high: str) -> None:
    task = text_task(write(tmp_path, train=f"{high} a\n{low} b\n", test=f"{low} a\n"))
    assert task.train.labels.tolist() == [1, 0]
    assert task.test is not None
    assert task.test.labels.tolist() == [0]


@pytest.mark.parametrize("kind", ["lines", "table", "JSON"])
def test_an_integer_that_is_written_in_two_ways_is_one_class_and_said(kind: str, tmp_path: Path) -> None:
    def written(*labels: str) -> str:
        if kind == "JSON":
            return "".join(f'{{"text": "a b", "label": "{label}"}}\n' for label in labels)
        head, mark = ("label,text\n", ",") if kind == "table" else ("", " ")
        return head + "".join(f"{label}{mark}a b\n" for label in labels)

    folder = write(tmp_path, train=written("1", "1", "0"), test=written("01", "0"))
    task = text_task(folder)
    assert task.train.class_names == ("0", "1")
    said = "The labels 1 and 01 are one class, the same integer."
    assert [note for note in task.notes if "one class" in note] == [said]
    write(tmp_path, train=written("01", "01", "00"), test=written("01", "00"))
    assert not any("one class" in note for note in text_task(folder).notes)  # negative control


def test_a_label_of_one_split_is_a_class_of_all(tmp_path: Path) -> None:
    task = text_task(write(tmp_path, train="3 a\n9 b\n", dev="5 a\n9 b\n", test="9 a\n"))
    assert {corpus.n_classes for corpus in task.splits.values()} == {3}
    assert {corpus.class_names for corpus in task.splits.values()} == {("3", "5", "9")}
    assert task.train.labels.tolist() == [0, 2]
    said = "Of 2 dev sentences, 1 have labels that training lacks (5), so the model cannot learn them."
    assert task.notes == (said,)


def test_sentences_left_without_words_are_dropped_and_counted_by_split_and_reason(tmp_path: Path) -> None:
    folder = write(tmp_path, train="1 ...\n0 a\n1 b\n0 !\n", dev="0 a\n", test="1 ,\n1 new\n0 a\n")
    task = text_task(folder, vocabulary="train")
    assert {split: corpus.n_sentences for split, corpus in task.splits.items()} == {"train": 2, "dev": 1, "test": 1}
    assert task.train.labels.tolist() == [0, 1]
    assert task.notes == (
        'Of 4 train sentences, dropped 2 without words after the preparation "lmn21".',
        'Of 3 test sentences, dropped 1 without words after the preparation "lmn21"'
        " and 1 without words of the training vocabulary.",
    )


def test_windows_lines_a_byte_order_mark_blank_lines_and_a_missing_last_line_end_change_nothing(tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    plain.mkdir()
    odd.mkdir()
    write(plain, train="1 good film\n0 bad\n", test="0 bad\n")
    (odd / "train.txt").write_bytes(b"\xef\xbb\xbf1\tgood  film\r\n\r\n \t\n0 bad\r\n\r\n\n")
    (odd / "test.txt").write_bytes(b"\n0 bad")
    for expected, got in zip(text_task(plain).splits.values(), text_task(odd).splits.values(), strict=True):
        assert sentences(got) == sentences(expected)
        assert got.vocabulary == expected.vocabulary


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes("1 café\n0 thé\n".encode("latin-1"))
    (tmp_path / "test.txt").write_bytes("1 café\n".encode("latin-1"))
    assert text_task(tmp_path, encoding="latin-1").train.vocabulary == ("café", "thé")


# --- a single file


def test_a_file_is_shuffled_by_the_seed_and_split_by_the_fractions(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text(lines(50))
    task = text_task(tmp_path / "data.txt", split=(0.6, 0.3, 0.1), seed=3)
    drawn = [words for corpus in task.splits.values() for _, words in sentences(corpus)]
    assert [corpus.n_sentences for corpus in task.splits.values()] == [30, 15, 5]
    order = np.random.default_rng(3).permutation(50)
    assert drawn == [{"shared": 1, f"word{i}": 1} for i in order]
    again = text_task(tmp_path / "data.txt", split=(0.6, 0.3, 0.1), seed=3)
    other = text_task(tmp_path / "data.txt", split=(0.6, 0.3, 0.1), seed=4)
    assert again.train.vocabulary == task.train.vocabulary != other.train.vocabulary


def test_labels_and_repeated_words_follow_their_sentence_through_the_shuffle(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("".join(f"{i % 10} {f'w{i} ' * (i + 1)}\n" for i in range(30)))
    for corpus in text_task(tmp_path / "data").splits.values():
        for label, words in sentences(corpus):
            ((word, count),) = words.items()
            assert word == f"w{count - 1}"
            assert label == (count - 1) % 10


@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        ((1, 0, 0), {"train": 10}),
        ((0.7, 0.3, 0.0), {"train": 7, "dev": 3}),
        ((0.9, 0, 0.1), {"train": 9, "test": 1}),
        ((1 / 3, 1 / 3, 1 / 3), {"train": 3, "dev": 4, "test": 3}),
        ((0.8, 0.1, 0.1 + 9e-10), {"train": 8, "dev": 1, "test": 1}),
    ],
)
def test_a_split_of_fraction_zero_is_left_out_and_every_sentence_is_used(
    tmp_path: Path, split: tuple[float, float, float], sizes: dict[str, int]
) -> None:
    (tmp_path / "data").write_text(lines(10))
    task = text_task(tmp_path / "data", split=split, seed=1)
    assert {name: corpus.n_sentences for name, corpus in task.splits.items()} == sizes


@pytest.mark.parametrize(
    "split",
    [(0, 0.5, 0.5), (1.1, -0.1, 0), (0.8, 0.1, 0.2), (0.8, 0.1, 0.1 + 1e-8), (0.5, 0.5), (float("nan"), 0.5, 0.5)],
)
def test_fractions_that_are_none_are_refused(tmp_path: Path, split: tuple[float, ...]) -> None:
    (tmp_path / "data").write_text(lines(10))
    with pytest.raises(InputError, match=r"split: expected fractions .* sum to 1, got .*0\.8 0\.1 0\.1"):
        text_task(tmp_path / "data", split=split)


# --- finding the files


@pytest.mark.parametrize(
    "pattern", ["{}", "{}.txt", "stsa.binary.{}", "sst2{}.tsv", "data_{}", "latest.{}", "train.{}", "test-{}.csv"]
)
def test_the_last_split_name_before_the_ending_is_the_split(tmp_path: Path, pattern: str) -> None:
    for split, n in (("train", 4), ("dev", 3), ("test", 2)):
        (tmp_path / pattern.format(split)).write_text(lines(n))
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "other.train").mkdir()
    sizes = {name: corpus.n_sentences for name, corpus in text_task(tmp_path).splits.items()}
    assert sizes == {"train": 4, "dev": 3, "test": 2}


def test_dev_may_be_missing(tmp_path: Path) -> None:
    assert text_task(write(tmp_path, train=lines(2), test=lines(2))).dev is None


@pytest.mark.parametrize("missing", ["train", "test"])
def test_train_and_test_may_not_be_missing(tmp_path: Path, missing: str) -> None:
    there = {"train", "dev", "test"} - {missing}
    write(tmp_path, **dict.fromkeys(there, lines(2)))
    with pytest.raises(
        InputError, match=r"expected both a train and a test file, got only dev\.txt and .*Add the missing"
    ):
        text_task(tmp_path)


@pytest.fixture
def two_sets(tmp_path: Path) -> Path:
    for prefix, n in (("stsa.binary.", 2), ("stsa.fine.", 3)):
        for split in ("train", "test"):
            (tmp_path / f"{prefix}{split}").write_text(lines(n))
    return tmp_path


@pytest.mark.parametrize("prefer", [None, "stsa.coarse", ""])
def test_two_sets_in_a_folder_are_refused_by_name(two_sets: Path, prefer: str | None) -> None:
    with pytest.raises(InputError) as refusal:
        text_task(two_sets, prefer=prefer)
    for part in ("2 sets", "stsa.binary.*", "stsa.fine.*", f"as in {two_sets / 'stsa.fine'}"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(("prefix", "n"), [("stsa.binary", 2), ("stsa.binary.", 2), ("stsa.fine", 3)])
def test_a_prefix_chooses_one_set(two_sets: Path, prefix: str, n: int) -> None:
    assert text_task(two_sets / prefix).train.n_sentences == n
    assert text_task(str(two_sets / prefix)).train.n_sentences == n
    assert text_task(two_sets, prefer=prefix).train.n_sentences == n


def test_a_preference_is_ignored_where_there_is_one_set(small: Path) -> None:
    assert text_task(small, prefer="stsa.binary").train.n_sentences == 2


def test_a_file_that_only_looks_like_a_set_without_training_data_is_passed_over(small: Path) -> None:
    (small / "contest.txt").write_text("not data")
    assert text_task(small).train.n_sentences == 2


@pytest.mark.parametrize("name", ["absent", "stsa", "absent/stsa.binary", "stsa.binary.trai"])
def test_a_path_to_nothing_is_refused(two_sets: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected a file, a folder .* got no such file .* Check the spelling"):
        text_task(two_sets / name)


def test_a_folder_without_a_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(InputError, match=r"files named like train.txt and test.txt"):
        text_task(tmp_path)


def test_a_path_below_a_file_is_refused(small: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        text_task(small / "train.txt" / "train")


@pytest.mark.parametrize("name", ["train.txt", "."])
def test_a_file_without_permission_is_refused_by_name(small: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"train\.txt: expected to read this path, got Permission denied\. Check its"):
        text_task(small / name)


# --- lines that cannot be read


@pytest.mark.parametrize("line", ["1", "good", "good film", "1.0 film", "one film", "1,film", f"{10**20} film"])
def test_a_line_that_is_not_a_label_and_text_is_refused_with_its_number(small: Path, line: str) -> None:
    (small / "test.txt").write_text(f"0 fine\n\n{line}\n")
    with pytest.raises(InputError) as refusal:
        text_task(small)
    message = str(refusal.value)
    assert message.startswith(f"{small / 'test.txt'}, line 3: expected an integer label, white space and text")
    assert f"got '{line}'" in message
    assert "Write the line as LABEL text" in message


def test_a_long_line_is_not_repeated_whole_in_the_message(small: Path) -> None:
    (small / "test.txt").write_text("x" * 100_000)
    with pytest.raises(InputError) as refusal:
        text_task(small)
    assert len(str(refusal.value)) < 400


def test_bytes_of_another_encoding_are_refused_with_line_and_remedy(small: Path) -> None:
    (small / "dev.txt").write_bytes("0 fine\n1 café\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"dev\.txt, line 2: expected text encoded in utf-8.*--encoding latin-1"):
        text_task(small)
    assert text_task(small, encoding="latin-1").splits["dev"].n_sentences == 2


@pytest.mark.parametrize("encoding", ["latin-99", "rot13", "a\0b"])
def test_an_unknown_encoding_is_refused_before_anything_is_read(small: Path, encoding: str) -> None:
    with pytest.raises(InputError, match=r"^encoding: expected the name of a text encoding, got .* latin-1"):
        text_task(small / "absent", encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "ascii"])
def test_an_encoding_that_was_named_is_said_to_be_wrong(small: Path, encoding: str) -> None:
    (small / "train.txt").write_text("1 café\n0 bad\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"train\.txt, line 1: .* is not in {encoding}: try --encoding utf-8"):
        text_task(small, encoding=encoding)


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["train.txt", "."])
def test_an_empty_file_is_refused_by_name(small: Path, content: bytes, name: str) -> None:
    (small / "train.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"train\.txt: expected lines of .LABEL text., got an empty file\. Fill it"):
        text_task(small / name)


# --- data that cannot be used


@pytest.mark.parametrize("test", ["4 a\n", "7 a\n", "4 a\n7 b\n"])
def test_a_single_label_in_the_training_data_is_refused(tmp_path: Path, test: str) -> None:
    with pytest.raises(InputError, match=r"two different labels in the training data, got only the label 4\. Add"):
        text_task(write(tmp_path, train="4 a\n4 b\n", test=test))


@pytest.mark.parametrize(("vocabulary", "test"), [("all", "1 ...\n"), ("train", "1 new\n")])
def test_a_split_in_which_no_sentence_is_left_is_refused(tmp_path: Path, vocabulary: str, test: str) -> None:
    write(tmp_path, train="1 a\n0 b\n", test=test)
    with pytest.raises(InputError, match=r"test data: expected at least one sentence with known words, got none\. Add"):
        text_task(tmp_path, vocabulary=vocabulary)


@pytest.mark.parametrize("vocabulary", ["all", "train"])
def test_data_without_any_word_is_refused(tmp_path: Path, vocabulary: str) -> None:
    with pytest.raises(InputError, match="train data: expected at least one sentence"):
        text_task(write(tmp_path, train="1 !\n0 ?\n", test="1 .\n"), vocabulary=vocabulary)


def test_a_file_too_short_for_its_fractions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text(lines(3))
    with pytest.raises(InputError, match="test data: expected at least one sentence"):
        text_task(tmp_path / "data")


def test_unknown_options_are_refused_with_the_known_ones(small: Path) -> None:
    with pytest.raises(InputError, match=r"preparation: expected one of lmn21, unicode, whitespace, got 'stem'\."):
        text_task(small, preparation="stem")
    with pytest.raises(InputError, match=r"vocabulary: expected one of all, train, got 'dev'\. Choose"):
        text_task(small, vocabulary="dev")
    with pytest.raises(InputError, match="vocabulary"):
        task_from_splits("t", {"train": [(0, "a"), (1, "b")]}, vocabulary="dev")


# --- streams, properties, size


def test_streams_are_taken_in_the_order_train_dev_test_whatever_their_own(small: Path) -> None:
    splits = {"test": [(1, "t")], "dev": [(0, "d")], "train": [(0, "a"), (1, "b")]}
    task = task_from_splits("mine", splits)
    assert task.name == "mine"
    assert task.train.vocabulary == ("a", "b", "d", "t")
    assert list(task.splits) == ["train", "dev", "test"]


words = st.text("abzÀß7_漢", min_size=1, max_size=3)
rows = st.lists(st.tuples(st.integers(-3, 3), st.lists(words, min_size=1, max_size=6)), min_size=2, max_size=12)
labelled = rows.filter(lambda rows: len({label for label, _ in rows}) > 1)


@given(rows=labelled, newline=st.sampled_from(["\n", "\r\n", "\n\n"]))
@settings(deadline=None, max_examples=50)
def test_a_written_file_comes_back_as_the_same_counts(rows: list[tuple[int, list[str]]], newline: str) -> None:
    text = newline.join(f"{label} {' , '.join(words)}" for label, words in rows)
    classes = sorted({label for label, _ in rows})
    expected = Corpus.from_sentences([words for _, words in rows], [classes.index(label) for label, _ in rows])
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "test"):
            (Path(folder) / split).write_bytes(text.encode())
        task = text_task(folder)
        whole = text_task(Path(folder) / "train", split=(1, 0, 0))
    for corpus in task.splits.values():
        assert sentences(corpus) == sentences(expected)
        assert corpus.vocabulary == expected.vocabulary
    assert unordered(whole.train) == unordered(expected)


def unordered(corpus: Corpus) -> Counter[tuple[int, frozenset[tuple[str, int]]]]:
    return Counter((label, frozenset(counts.items())) for label, counts in sentences(corpus))


@pytest.mark.parametrize("name", [".", "train.txt"])
def test_reading_keeps_numbers_and_not_strings_in_memory(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(500, size=(10_000, 20))
    text = "".join(f"{i % 2} {' '.join(f'w{w}' for w in row)}\n" for i, row in enumerate(drawn.tolist()))
    write(tmp_path, train=text, test="0 w1\n")
    tracemalloc.start()
    text_task(tmp_path / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * drawn.size  # a list of the strings alone takes 58 bytes a token


# --- real text


@needs_sst
def test_sst2_has_the_published_sizes() -> None:
    task = text_task(SST / "stsa.binary")
    assert [corpus.n_sentences for corpus in task.splits.values()] == [6_920, 872, 1_821]
    assert task.train.n_tokens == 118_762
    assert task.train.n_words == 17_439
    assert task.train.n_classes == 2
    assert task.notes == ()
    assert text_task(SST / "stsa.binary", preparation="whitespace").train.n_tokens != 118_762


@needs_sst
def test_sst5_has_the_published_sizes() -> None:
    task = text_task(SST, prefer="stsa.fine")
    assert [corpus.n_sentences for corpus in task.splits.values()] == [8_544, 1_101, 2_210]
    assert task.train.n_classes == 5


@needs_sst
def test_the_folder_of_both_treebanks_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"stsa\.binary.* and stsa\.fine"):
        text_task(SST)
