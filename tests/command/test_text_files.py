"""A file of labelled text as it comes from elsewhere: six classes, Latin-1, Windows line ends, a byte order mark."""

import codecs
from collections import Counter
from pathlib import Path

import pytest

from attn_dynamics.corpus import Corpus
from attn_dynamics.errors import InputError
from attn_dynamics.tasks.text import text_task
from tests.command.driving import Call, contents, read_json

QUESTIONS = {
    1: ("Où naît", "fleuve"),
    2: ("Qui écrivit", "épopée"),
    3: ("Combien coûte", "châssis"),
    4: ("Pourquoi dîner", "garçon"),
    5: ("Was heißt", "größer"),
    6: ("Qué año", "señal"),
}
"""Of each class the words that tell it, an accent among them, and one more."""
COPIES = 12
"""Sentences of a class."""
WHOLE = (1.0, 0.0, 0.0)


def lines(newline: str) -> str:
    rows = [
        f"{label} {telling} {more} word{copy % 5}?{newline}"
        for copy in range(COPIES)
        for label, (telling, more) in QUESTIONS.items()
    ]
    return "".join(rows)


def expected() -> Counter[tuple[int, frozenset[str]]]:
    return Counter(
        (label - 1, frozenset([*telling.split(), more, f"word{copy % 5}"]))
        for copy in range(COPIES)
        for label, (telling, more) in QUESTIONS.items()
    )


def read(corpus: Corpus) -> Counter[tuple[int, frozenset[str]]]:
    """How often each class goes with each set of words."""
    words = [row.nonzero()[0] for row in corpus.counts.toarray()]
    named = (frozenset(str(corpus.vocabulary[word]) for word in row) for row in words)
    return Counter(zip(corpus.labels.tolist(), named, strict=True))


WAYS = {
    "latin-1, Windows": ("latin-1", "\r\n", b""),
    "latin-1, Unix": ("latin-1", "\n", b""),
    "cp1252, Windows": ("cp1252", "\r\n", b""),
    "utf-8, Windows": ("utf-8", "\r\n", b""),
    "utf-8, byte order mark, Windows": ("utf-8", "\r\n", codecs.BOM_UTF8),
    "utf-8-sig, byte order mark": ("utf-8-sig", "\n", codecs.BOM_UTF8),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_right_encoding_gives_labels_and_words_as_they_were_written(way: str, tmp_path: Path) -> None:
    encoding, newline, mark = WAYS[way]
    (tmp_path / "questions.txt").write_bytes(mark + lines(newline).encode(encoding.removesuffix("-sig")))
    corpus = text_task(tmp_path / "questions.txt", encoding=encoding, split=WHOLE).train
    assert corpus.n_classes == 6
    assert read(corpus) == expected()


def test_an_encoding_that_reads_the_bytes_otherwise_is_seen_by_the_comparison(tmp_path: Path) -> None:
    """Negative control: Latin-1 takes any bytes for text, those of UTF-8 too."""
    (tmp_path / "questions.txt").write_bytes(lines("\r\n").encode())
    corpus = text_task(tmp_path / "questions.txt", encoding="latin-1", split=WHOLE).train
    assert corpus.n_classes == 6
    assert read(corpus) != expected()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_wrong_encoding_is_refused_with_the_line_and_what_helps(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_bytes(b"1 plain\r\n2 words\r\n\r\n" + lines("\r\n").encode("latin-1"))
    with pytest.raises(InputError, match=rf"questions\.txt, line 4: expected text encoded in {encoding}.*0xf9") as why:
        text_task(path, encoding=encoding)
    assert "--encoding latin-1" in str(why.value)


def test_six_classes_in_latin_1_are_learned_by_the_command(call: Call, place: Path) -> None:
    (place / "questions.txt").write_bytes(lines("\r\n").encode("latin-1"))
    command = ("--task", "questions.txt", "--epochs", "300", "--learning-rate", "1", "--out", "here")
    refused = call(*command)
    assert refused.code == 2
    assert "questions.txt, line 1: expected text encoded in utf-8" in refused.said
    assert "--encoding latin-1" in refused.said
    assert [*contents(place)] == ["questions.txt"]
    done = call(*command, "--encoding", "latin-1", "--follow", "Où", "écrivit", "heißt")
    assert done.code == 0, done.said
    summary = read_json(place / "here" / "summary.json")
    assert {"Où", "écrivit", "heißt"} <= summary["words"].keys()
    assert summary["test_accuracy"] > 1 / 3  # one in six is chance


def test_an_unknown_encoding_is_refused(call: Call, place: Path) -> None:
    (place / "questions.txt").write_bytes(lines("\r\n").encode("latin-1"))
    done = call("--task", "questions.txt", "--encoding", "latin-one", "--out", "here")
    assert done.code == 2
    assert "unknown encoding: latin-one" in done.said
    assert [*contents(place)] == ["questions.txt"]
