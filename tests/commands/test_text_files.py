"""Labelled text as it comes from elsewhere: encodings, line ends, tables, labels by name, splits by other names."""

import codecs
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.text import text_task
from tests.commands.driving import Call, contents, film_folder, read_json

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


@pytest.mark.parametrize("encoding", ["utf8", "UTF-8"])
def test_an_encoding_by_another_name_is_told_alike(encoding: str, tmp_path: Path) -> None:
    """To try UTF-8 is no help to one who named it."""
    (tmp_path / "a.txt").write_bytes("0 caf\xe9\n1 tea\n".encode("latin-1"))
    with pytest.raises(InputError, match="Name the encoding of the file, for example --encoding latin-1"):
        text_task(tmp_path / "a.txt", encoding=encoding)


def test_utf_16_without_its_mark_is_read_by_any_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("0 café\n1 tea\n".encode("utf-16-le"))
    for encoding in ("utf-16-le", "UTF_16LE"):
        assert text_task(tmp_path / "a.txt", encoding=encoding, split=WHOLE).train.n_sentences == 2


def test_what_a_byte_order_mark_contradicts_is_not_mended_by_an_option(tmp_path: Path) -> None:
    """The mark counts for more than --encoding, which no message may advise then."""
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + "0 caf\xe9\n1 tea\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"Its byte order mark names that encoding\. Save it again") as why:
        text_task(tmp_path / "a.txt")
    assert "--encoding" not in str(why.value)


def test_an_unknown_encoding_is_refused(call: Call, place: Path) -> None:
    (place / "questions.txt").write_bytes(lines("\r\n").encode("latin-1"))
    done = call("--task", "questions.txt", "--encoding", "latin-one", "--out", "here")
    assert done.code == 2
    assert "unknown encoding: latin-one" in done.said
    assert [*contents(place)] == ["questions.txt"]


# --- what people have, through the command

FILMS = [("good", "a fine, good film"), ("bad", "a dull film"), ("good", "so good"), ("bad", "so dull")] * 6
BRIEF = ("--epochs", "5", "--out", "here")


def said_classes(err: str) -> bool:
    return "Classes: bad = 0, good = 1." in err


@pytest.mark.parametrize("packed", [lambda text: text.encode(), lambda text: gzip.compress(text.encode("utf-16"))])
def test_a_table_with_named_labels_is_learned(call: Call, place: Path, packed: Callable[[str], bytes]) -> None:
    rows = "".join(f'"{text}",3,{label}\n' for label, text in FILMS)
    (place / "films.csv").write_bytes(packed("review,stars given,verdict\n" + rows))
    done = call("--task", "films.csv", *BRIEF)
    assert done.code == 2
    assert "films.csv: expected a column of labels named label, labels, class" in done.said
    assert "got the columns 'review', 'stars given', 'verdict'" in done.said
    assert [*contents(place)] == ["films.csv"]
    done = call("--task", "films.csv", "--label-column", "verdict", *BRIEF)
    assert done.code == 0, done.said
    assert 'Texts are read from the column "review" and labels from "verdict".' in done.said
    assert said_classes(done.said)
    assert read_json(place / "here" / "summary.json")["classes"] == {"bad": 0, "good": 1}


def test_json_lines_are_learned(call: Call, place: Path) -> None:
    rows = [{"text": text, "label": label, "id": number} for number, (label, text) in enumerate(FILMS)]
    (place / "films.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = call("--task", "films.jsonl", *BRIEF)
    assert done.code == 0, done.said
    assert said_classes(done.said)
    assert read_json(place / "here" / "summary.json")["classes"] == {"bad": 0, "good": 1}


def test_questions_of_trec_are_learned(call: Call, place: Path) -> None:
    questions = [
        ("DESC:manner", "How did it develop ?"),
        ("ENTY:cremat", "What film is naïf ?"),
        ("HUM:ind", "Who wrote it ?"),
    ]
    (place / "train.label").write_bytes("".join(f"{c} {text}\n" for c, text in questions * 8).encode("latin-1"))
    done = call("--task", "train.label", *BRIEF)
    assert done.code == 2
    assert "train.label, line 2: expected text encoded in utf-8" in done.said
    assert "--encoding latin-1" in done.said
    done = call("--task", "train.label", "--encoding", "latin-1", *BRIEF)
    assert done.code == 0, done.said
    assert "All labels have two parts, as in DESC:manner, and each pair is a class." in done.said
    assert [*read_json(place / "here" / "summary.json")["classes"]] == ["DESC:manner", "ENTY:cremat", "HUM:ind"]


def test_a_test_set_without_labels_is_left_out(call: Call, place: Path) -> None:
    film_folder(place / "films")
    (place / "films" / "test.txt").write_text("-1 good word1\n-1 bad word2\n", encoding="utf-8")
    done = call("--task", "films", *BRIEF)
    assert done.code == 0, done.said
    assert "The test data are left out, because they have only the label -1" in done.said
    summary = read_json(place / "here" / "summary.json")
    assert summary["test_accuracy"] is None
    assert summary["dev_accuracy"] is not None
    assert summary["classes"] == {"0": 0, "1": 1}


def test_a_validation_set_stops_training_early(call: Call, place: Path) -> None:
    film_folder(place / "films")
    (place / "films" / "dev.txt").rename(place / "films" / "valid.txt")
    done = call("--task", "films", "--patience", "3", "--epochs", "50", "--out", "here")
    assert done.code == 0, done.said
    summary = read_json(place / "here" / "summary.json")
    assert (summary["ended"], summary["best_epoch"]) == ("patience", 0)  # its labels contradict those of training


def test_hindi_keeps_its_vowel_signs(call: Call, place: Path) -> None:
    rows = "".join(f"{label} {word} फ़िल्म है।\n" for label, word in (("बुरा", "की"), ("अच्छा", "का")) * 10)
    (place / "films.txt").write_text(rows, encoding="utf-8")
    done = call("--task", "films.txt", *BRIEF)
    assert done.code == 0, done.said
    assert 'The preparation "lmn21" deletes the combining marks of 20 texts' in done.said
    unicode = ("--preparation", "unicode", "--follow", "की", "का", "फ़िल्म")
    done = call("--task", "films.txt", *unicode, *BRIEF, "--overwrite")
    assert done.code == 0, done.said
    assert "combining marks" not in done.said
    summary = read_json(place / "here" / "summary.json")
    assert {"की", "का", "फ़िल्म"} <= summary["words"].keys()
    assert [*summary["classes"]] == ["अच्छा", "बुरा"]


def test_data_that_are_not_the_treebank_are_told(call: Call, place: Path) -> None:
    film_folder(place / "films")
    done = call("--task", "sst2", "--data-dir", "films", *BRIEF)
    assert done.code == 0, done.said
    told = "These data are not sst2 as published: 40 train for 6,920, 12 dev for 872, 12 test for 1,821."
    assert told in done.said
