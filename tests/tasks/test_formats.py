"""Labelled texts in the formats in which people have them come back as they were meant, or are refused in one line."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attn_dynamics.commands import simulate
from attn_dynamics.commands.shell import BAD_INPUT
from attn_dynamics.errors import InputError
from attn_dynamics.tasks import Task
from attn_dynamics.tasks.preparation import PREPARATIONS
from attn_dynamics.tasks.text import text_task
from tests.tasks.test_text import sentences, write

ROWS = [("pos", "good, “fine” film"), ("neg", "bad film"), ("pos", "fine")] * 4
WORDS = [(1, {"good": 1, "fine": 1, "film": 1}), (0, {"bad": 1, "film": 1}), (1, {"fine": 1})] * 4
NOTE = "Classes: neg = 0, pos = 1."


def quoted(text: str) -> str:
    return f'"{text}"' if "," in text else text


def whole(path: Path, **options: Any) -> Task:
    """One file, all of it trained on; sentences come shuffled."""
    return text_task(path, **{"split": (1, 0, 0), **options})


def refusal(path: Path, **options: str) -> str:
    """One line that says why a file is refused."""
    with pytest.raises(InputError) as caught:
        whole(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def in_order(rows: list[tuple[int, dict[str, int]]]) -> list[tuple[int, list[tuple[str, int]]]]:
    return sorted((label, sorted(words.items())) for label, words in rows)


# --- tables

FORMATS: dict[str, str] = {
    "a.csv": "label,text\n" + "".join(f"{label},{quoted(text)}\n" for label, text in ROWS),
    "b.csv": "id,Review ,Sentiment\n"
    + "".join(f"{n},{quoted(text)},{label}\n" for n, (label, text) in enumerate(ROWS)),
    "c.csv": "text;label\n" + "".join(f"{text};{label}\n" for label, text in ROWS),
    "d.tsv": "sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for label, text in ROWS),
    "e.txt": "label\ttext\r\n" + "".join(f"{label}\t{text}\r\n" for label, text in ROWS),
    "f.jsonl": "".join(json.dumps({"id": 1, "text": text, "label": label}) + "\n" for label, text in ROWS),
    "g.txt": "\n".join(json.dumps({"label": label, "text": text}, ensure_ascii=False) + "\n" for label, text in ROWS),
    "h.json": json.dumps([{"text": text, "category": label} for label, text in ROWS], indent=1),
    "i": "".join(f"{label} {text}\n" for label, text in ROWS),
    "j.tsv": "".join(f"{label} {text}\n" for label, text in ROWS),
    "k.txt": "".join(f"{label}\t{text}\r" for label, text in ROWS),  # as an old Macintosh ends its lines
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_sentences_and_names_of_classes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMATS[name], encoding="utf-8", newline="")
    task = whole(tmp_path / name)
    assert in_order(sentences(task.train)) == in_order(WORDS)
    assert task.train.class_names == ("neg", "pos")
    assert task.notes[-1] == NOTE
    guessed = name[0] < "i"
    assert task.notes[0].startswith("Texts are read from the column ") == guessed


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda content: content.decode().encode("utf-16"),
        lambda content: content.decode().encode("utf-32"),
        lambda content: content.decode().encode("utf-8-sig"),
        lambda content: gzip.compress(content.decode().encode("utf-16")),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "f.jsonl", "i"])
def test_compression_and_byte_order_marks_are_recognised(
    tmp_path: Path, name: str, packed: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(packed(FORMATS[name].encode()))
    assert in_order(sentences(whole(tmp_path / name).train)) == in_order(WORDS)


def test_columns_that_are_named_count_for_more_than_usual_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,text,title,kind\n1,x,good film,b\n2,y,bad film,a\n3,z,bad,a\n")
    named = whole(tmp_path / "a.csv", text_column="title", label_column="kind")
    assert in_order(sentences(named.train)) == in_order(
        [(1, {"good": 1, "film": 1}), (0, {"bad": 1, "film": 1}), (0, {"bad": 1})]
    )
    assert named.notes == ("Classes: a = 0, b = 1.",)
    assert whole(tmp_path / "a.csv", text_column="Title", label_column="KIND").notes == named.notes
    (tmp_path / "b.csv").write_text("kind,KIND,text\n1,0,a\n0,1,b\n")
    assert "'Kind', which" in refusal(tmp_path / "b.csv", label_column="Kind")


def test_integers_stay_integers_and_cells_stay_as_they_are_written(tmp_path: Path) -> None:
    rows = ["10,NA null", "2,None", '2,"a ""b""\nc"', "10,1e5 007", "-3,2020-01-01"]
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    task = whole(tmp_path / "a.csv", preparation="whitespace")
    assert task.train.class_names == ("-3", "2", "10")
    assert set(task.train.vocabulary) == {"NA", "null", "None", "a", '"b"', "c", "1e5", "007", "2020-01-01"}
    assert len(task.notes) == 1


def test_quotes_in_tsv_are_letters_unless_its_first_line_has_them(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\n"bad film\t0\nsays "fine"\t1\nfine "\t1\n')
    assert whole(tmp_path / "a.tsv").train.n_sentences == 3  # a quoted field would run to the third line
    (tmp_path / "b.tsv").write_text('"text"\t"label"\n"bad\tfilm"\t"0"\n"fine"\t"1"\n')
    assert set(whole(tmp_path / "b.tsv", preparation="whitespace").train.vocabulary) == {"bad", "film", "fine"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "id,verdict\n1,good film\n", "a.csv: expected a column of texts named text, sentence,"),
        ("a.csv", "id,verdict\n1,good film\n", "got the columns 'id', 'verdict'. Name the column by --text-column"),
        ("a.csv", "text,verdict\ngood,1\n", "a.csv: expected a column of labels named label, labels,"),
        ("a.csv", "1,good film\n0,bad film\n", "got the columns '1', 'good film'. Name the column by"),
        (
            "a.csv",
            "label,text\n1,good\n0,bad, really\n",
            "a.csv, line 3: expected 2 fields, as in the header, got 3 fields",
        ),
        (
            "a.csv",
            "label,text\n1,good, really\n0,bad, really\n",
            "a.csv, line 2: expected 2 fields, as in the header, got 3 fields",
        ),
        (
            "a.csv",
            'label,text\n1,"good\n0,bad\n',
            "a.csv, line 2: expected rows of separated fields, got a double quote that is never",
        ),
        ("a.csv", "label,text\n1,good\n,bad\n", "a.csv, line 3: expected a label under 'label', got none. D"),
        (
            "a.csv",
            '\nlabel,text\n\n1,"a\nb"\n,bad\n1,c\n,bad\n',
            "line 6: expected a label under 'label', got none, nor in 1 more row.",
        ),
        (
            "a.csv",
            'label,text\n\n1,"a\nb"\n1,a,b\n',
            "a.csv, line 5: expected 2 fields, as in the header, got 3 fields",
        ),
        (
            "a.csv",
            f"label,text\n1,{'long ' * 30_000}\n,bad\n",
            "a.csv, line 3: expected a label under 'label', got none",
        ),
        ("a.csv", "label,text\n1,a\rb\n,bad\n", "a.csv, line 3: expected a label under 'label', got none"),
        ("a.csv", "label,text\n", "a.csv: expected labelled texts, got a header and no rows"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"\n', "a.jsonl, line 2: expected JSON"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"label": 1}\n', "line 2: expected a text under 'text', got null"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "line 2: expected a label under 'label', got none"),
        ("a.jsonl", '{"text": "a", "label": 1.5}\n', "line 1: expected a label, an integer or a name, got 1.5"),
        ("a.jsonl", '{"text": "a", "label": [1]}\n', "line 1: expected a label, an integer or a name, got [1]"),
        ("a.jsonl", '{"text": ["a"], "label": [1]}\n', "one text and its label, got an object of whole columns"),
        ("a.jsonl", '{"text": "a", "label": 1}\n3\n', "line 2: expected a JSON object, got 3"),
        ("a.json", '[{"text": "a", "label": 1}, 3]', "row 2: expected a JSON object, got 3"),
        ("a.txt", "good,film\n", "a.txt, line 1: expected a label, white space and text, got 'good,film'"),
        ("a.txt", "good, fine film\n", "expected a label, white space and text"),
    ],
)
def test_tables_that_cannot_be_read_are_refused_with_place_and_remedy(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    assert said in refusal(tmp_path / name)


def test_a_column_that_is_not_there_is_told_by_its_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("label,text\n1,a\n0,b\n")
    message = refusal(tmp_path / "a.csv", text_column="body")
    assert message.startswith("text_column: expected the name of a column, got 'body', which")
    assert message.endswith("It holds the columns 'label', 'text'.")
    assert simulate.main(["--task", str(tmp_path / "a.csv"), "--label-column", "kind"]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("error: --label-column: expected the name of a column, got 'kind'")


# --- bytes that are no text


def test_what_is_no_text_is_refused_with_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"1 good\n0 bad\n" * 1000)[:-30])
    assert "expected a whole compressed file" in refusal(tmp_path / "a.gz")
    (tmp_path / "b.txt").write_bytes(b"PK\3\4\0\0\0\xffsomething")
    assert "binary data (it holds NUL bytes)" in refusal(tmp_path / "b.txt")
    (tmp_path / "c.txt").write_bytes("1 good\n0 bad\n".encode("utf-16-le"))
    assert "--encoding utf-16-le" in refusal(tmp_path / "c.txt")
    assert whole(tmp_path / "c.txt", encoding="utf-16-le").train.n_sentences == 2


@pytest.mark.parametrize("letter", ["\0", "\ud83d"])
@pytest.mark.parametrize("part", ["text", "label"])
def test_letters_that_no_file_of_results_holds_are_refused(tmp_path: Path, letter: str, part: str) -> None:
    rows = [{"text": "good", "label": "a"}, {"text": "bad", "label": "b"} | {part: f"x{letter}"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    message = refusal(tmp_path / "a.jsonl")
    assert ("a NUL character or half a surrogate pair" if part == "text" else "label: expected an integer") in message
    rows[1][part] = "x\U0001f600"  # which JSON writes as two halves
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert whole(tmp_path / "a.jsonl").train.n_sentences == 2


def test_one_carriage_return_among_other_line_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"1 good\r\n0 bad\r1 fine\n")
    assert "a.txt, line 2: expected one kind of line end" in refusal(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"1 good\r0 bad\r1 fine")
    assert whole(tmp_path / "a.txt").train.n_sentences == 3


def test_a_carriage_return_within_a_cell_ends_no_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"label,text\n1,good\rfilm\n0,bad\n")
    assert in_order(sentences(whole(tmp_path / "a.csv").train)) == [(0, [("bad", 1)]), (1, [("film", 1), ("good", 1)])]
    for end in (b"\r\n", b"\r"):
        (tmp_path / "a.csv").write_bytes(end.join([b"label,text", b"1,good film", b"0,bad", b"", b""]))
        assert whole(tmp_path / "a.csv").train.n_tokens == 3


@pytest.mark.parametrize("content", ["9 0:9 1:1\n1 3:2\n", "9 0:9 1:1.5e-3\n", "1 0:1\n" * 9 + "0 a\n"])
def test_sparse_counts_are_no_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    assert "sparse counts, as in '" in refusal(tmp_path / "a.txt")


def test_a_time_of_day_is_no_sparse_count(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 10:30\n1 at 11:00\n0 12:15\n")
    assert whole(tmp_path / "a.txt").train.n_sentences == 3


# --- labels


@pytest.mark.parametrize(
    "label", [lambda i: i, lambda i: f"word{i}", lambda i: i / 7, lambda i: "a" if i < 8 else f"word{i}"]
)
def test_what_is_no_label_of_many_sentences_is_refused(tmp_path: Path, label: Callable[[int], object]) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{label(i)} some words\n" for i in range(1, 31)))
    assert "a row number, a measured value or a first word was taken for the label" in refusal(tmp_path / "a.txt")


def test_as_many_classes_as_sentences_are_told_where_they_are_few(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{i} some words\n" for i in range(5)))
    assert whole(tmp_path / "a.txt").notes == ("There are as many classes as sentences: is the label a row number?",)
    (tmp_path / "a.txt").write_text("".join(f"{i % 5} some words\n" for i in range(6)))
    assert whole(tmp_path / "a.txt").notes == ()


UNLABELLED = [
    (".txt", "1 a\n0 b\n", "-1 c\n-1 a\n", "only the label -1, which training lacks"),
    (".csv", "label,text\n1,a\n0,b\n", "text\nc\na\n", "no labels"),
    (".csv", "label,text\n1,a\n0,b\n", "text,label\nc,\na,\n", "no labels"),
    (".tsv", "sentence\tlabel\na\t1\nb\t0\n", "index\tsentence\n0\tc\n1\ta\n", "no labels"),
    (".jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', '{"text": "c"}\n{"text": "a"}\n', "no labels"),
    (".jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', '{"text": "c", "label": null}\n', "no labels"),
]


@pytest.mark.parametrize(("suffix", "train", "test", "why"), UNLABELLED)
@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_split_without_labels_is_left_out_with_its_words(
    tmp_path: Path, suffix: str, train: str, test: str, why: str, split: str
) -> None:
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}{suffix}").write_text(test if part == split else train)
    task = text_task(tmp_path)
    assert list(task.splits) == [part for part in ("train", "dev", "test") if part != split]
    assert task.train.vocabulary == ("a", "b")
    assert task.train.n_classes == 2
    stop = " Training does not stop early." if split == "dev" else ""
    assert task.notes[-1] == f"The {split} data are left out, because they have {why}.{stop}"


def test_labels_that_training_never_has_are_told_or_refused(tmp_path: Path) -> None:
    write(tmp_path, train="1 a\n0 b\n", test="0 a\n2 b\n2 a\n")
    task = text_task(tmp_path)
    assert task.notes == (
        "Of 3 test sentences, 2 have labels that training lacks (2), so the model cannot learn them.",
    )
    assert task.train.n_classes == 3
    write(tmp_path, train="bad a\ngood b\n", test="negative a\npositive b\n")
    expected = r"test data: expected labels of the training data \(bad, good\), got negative, positive\. Label all"
    with pytest.raises(InputError, match=expected):
        text_task(tmp_path)


def test_a_split_labelled_in_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("label,text\n1,a\n0,b\n")
    (tmp_path / "test.csv").write_text("label,text\n1,a\n,b\n")
    with pytest.raises(InputError, match=r"test data: expected a label for every sentence, got 1 sentences without"):
        text_task(tmp_path)


# --- files of a folder


@pytest.mark.parametrize("name", ["dev", "val", "valid", "validation", "Validation", "VALID"])
def test_a_validation_set_is_found_by_all_its_names(tmp_path: Path, name: str) -> None:
    write(tmp_path, train="1 a\n0 b\n", test="0 a\n", **{name: "1 b\n0 a\n1 a\n"})
    task = text_task(tmp_path)
    assert {part: corpus.n_sentences for part, corpus in task.splits.items()} == {"train": 2, "dev": 3, "test": 1}
    assert task.notes == ()


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    write(tmp_path, train="1 a\n0 b\n", test="0 a\n", dev="1 b\n", valid="1 b\n")
    with pytest.raises(InputError, match=r"expected one file of dev data, got dev\.txt and valid\.txt\. Move"):
        text_task(tmp_path)


def test_hidden_files_are_none_of_a_set_and_others_are_told(tmp_path: Path) -> None:
    write(tmp_path, train="1 a\n0 b\n", test="0 a\n", **{"._train": "\0", ".test": "x", "eval": "1 a\n"})
    assert text_task(tmp_path).notes == ("Not read, because no split of this task has such a name: eval.txt.",)


def test_a_compressed_file_belongs_to_the_set_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(b"label,text\n1,a\n0,b\n"))
    (tmp_path / "test.csv").write_bytes(b"label,text\n1,a\n")
    assert list(text_task(tmp_path).splits) == ["train", "test"]


def test_sets_that_differ_in_their_endings_alone_are_not_told_apart_by_a_prefix(tmp_path: Path) -> None:
    for suffix in (".txt", ".csv"):
        for part in ("train", "test"):
            (tmp_path / f"films.{part}{suffix}").write_text("1 a\n0 b\n")
    for path in (tmp_path, tmp_path / "films"):
        with pytest.raises(InputError, match=r"got 2 sets, films\.\*\.csv and films\.\*\.txt\. Move one to a folder"):
            text_task(path)


# --- words of other scripts


def test_a_text_without_spaces_is_told(tmp_path: Path) -> None:
    for text, told in (("注意力学习很有趣。", 1), ("注意力 学习 很 有趣。", 0)):
        (tmp_path / "a.txt").write_text("".join(f"{i % 2} {text}\n" for i in range(12)), encoding="utf-8")
        notes = whole(tmp_path / "a.txt").notes
        assert [note.startswith("12 of 12 training sentences are a single word") for note in notes] == [True] * told


HINDI = ("कि", "की", "का")
"""Three words that are one without their marks."""


def test_lmn21_says_that_it_deletes_marks_and_unicode_keeps_them(tmp_path: Path) -> None:
    rows = [(number % 2, word) for number, word in enumerate([*HINDI, *HINDI])]
    text = "".join(f"{label} {word} फ़िल्म!\n" for label, word in rows)
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    published = whole(tmp_path / "a.txt")
    assert set(published.train.vocabulary) == {"क", "फलम"}  # as published: three words have become one
    assert published.notes == (
        'The preparation "lmn21" deletes the combining marks of 6 texts (as in “कि”), so different words may have '
        "become one. --preparation unicode avoids that.",
    )
    kept = whole(tmp_path / "a.txt", preparation="unicode")
    assert set(kept.train.vocabulary) == {*HINDI, "फ़िल्म"}
    assert kept.notes == ()


def test_unicode_makes_both_spellings_of_an_accent_one_word(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 café, It's\n0 cafe\u0301 a\n1 b\n", encoding="utf-8")
    task = whole(tmp_path / "a.txt", preparation="unicode")
    assert (set(task.train.vocabulary), task.notes) == ({"café", "Its", "a", "b"}, ())
    for preparation, both in (("lmn21", {"café", "cafe"}), ("whitespace", {"café,", "cafe\u0301"})):
        task = whole(tmp_path / "a.txt", preparation=preparation)
        assert both <= set(task.train.vocabulary)
        assert len(task.notes) == 1
        assert "1 text" in task.notes[0]
        assert "--preparation unicode" in task.notes[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("می\u200cخواهم", ["می\u200cخواهم"]),  # a joiner within a word is part of it
        ("a\u00adb \ufeffc\u200e", ["ab", "c"]),  # soft hyphens and marks of direction are not
        ("❤\ufe0f 👩\u200d🔬 1\ufe0f\u20e3", ["1"]),  # nothing is left of an emoji
        ("snake_case, It's", ["snake_case", "Its"]),
        ("క్షేమం ภาษาไทย", ["క్షేమం", "ภาษาไทย"]),
    ],
)
def test_unicode_keeps_what_belongs_to_a_word(text: str, words: list[str]) -> None:
    assert PREPARATIONS["unicode"](text) == words


def test_letters_without_marks_and_emojis_give_no_note(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 café\u2000naïve\n0 plain ❤\ufe0f\n0 more\n", encoding="utf-8")
    for preparation in PREPARATIONS:
        assert whole(tmp_path / "a.txt", preparation=preparation).notes == ()
