"""Claim: each broken assumption of a law is named, with its number, and none is where all of them are met."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from attn_dynamics import Corpus, FixedLinear, Parameters
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.initial import PRESETS
from attn_dynamics.results.assumptions import (
    ALLOWED,
    BESIDE,
    FIXED,
    FREE,
    FROM_ZERO,
    LABELS,
    MANY,
    ONE_LENGTH,
    ONE_WORD,
    RARE,
    SHORT,
    SILENT,
    TRAINED,
    Assumption,
    as_text,
    broken_in_words,
    check_assumptions,
    curve_name,
    from_text,
    joined,
    mean_field_law,
    percent,
    sentences,
    short_steps,
)
from attn_dynamics.results.prediction import predict
from attn_dynamics.results.summary import annotate, summarise
from attn_dynamics.tasks import Synthetic, Task
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.configured_run import start, train
from attn_dynamics.training.corpus_config import Config

TRAIN = ("keys", "embeddings", "head")
PUBLISHED = Synthetic(test_sentences=0)
DEFAULT = PUBLISHED.draw(0)
FOLLOWED = [f"t{topic}.{word}" for topic in (1, 2, 3, 4) for word in (1, 2)]
"""The topic words by name."""


def changed(task: Task, counts: np.ndarray | None = None, labels: np.ndarray | None = None) -> Task:
    """The same words with other counts (N, V) or labels."""
    corpus = task.train
    given = {} if counts is None else {"counts": csr_array(counts)}
    given |= {} if labels is None else {"labels": labels}
    return replace(task, train=replace(corpus, **given))


def two_topic_words(task: Task) -> Task:
    """Both topic words of a class stand in each of its sentences, as one of the others each time."""
    counts = task.train.counts.toarray()
    for row, label in zip(counts, task.train.labels, strict=True):
        row[2 * label : 2 * label + 2] = 1
    return changed(task, counts)


def with_noise(task: Task, share: float) -> Task:
    """A share of the labels is another one."""
    labels = task.train.labels.copy()
    wrong = np.random.default_rng(1).permutation(labels.size)[: round(share * labels.size)]
    labels[wrong] = (labels[wrong] + 1) % task.train.n_classes
    return changed(task, labels=labels)


def unequal_lengths(task: Task) -> Task:
    """Half of the sentences of a word have five of its other words twice."""
    counts = task.train.counts.toarray()
    for row in counts[::2]:
        row[np.flatnonzero(row[8:])[:5] + 8] += 1
    return changed(task, counts)


def coin(flips: int = 100) -> Task:
    """The task of CONTRIBUTING."""
    up = np.random.default_rng(0).random(flips) < 0.5
    sides = [["heads", "toss"] if each else ["tails", "toss"] for each in up]
    return Task(name="coin", train=Corpus.from_sentences(sides, up.astype(int)), topic_words=(("tails",), ("heads",)))


def begun(task: Task, *, model: str = "attn-tc", preset: str = "paper", seed: int = 0) -> Parameters:
    return start(Config(model=model, start=preset, seed=seed), task)


def failing(
    task: Task, begin: Parameters | None = None, train: Sequence[str] = TRAIN, words: list[str] | None = None
) -> dict[tuple[str, str], str]:
    """Law and assumption of all that fail, with the detail of each."""
    found = check_assumptions(task, begin or begun(task), train=train, words=words)
    return {(each.law, each.assumption): each.detail for each in found if not each.holds}


# --- what is met, and what is broken by one change


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model", HEADS)
def test_the_default_task_breaks_none_under_any_head_and_start(model: str, seed: int) -> None:
    task = PUBLISHED.draw(seed)
    for preset in PRESETS:
        found = check_assumptions(task, begun(task, model=model, preset=preset, seed=seed), train=TRAIN)
        assert [each for each in found if not each.holds] == []
        laws = {"attn-fc": ["A1", "B1", "C9"], "attn-tc": ["A1", "B1", "C10"], "attn-tl": ["A1", "B1"]}[model]
        assert list(dict.fromkeys(each.law for each in found)) == laws


BROKEN: dict[str, tuple[Callable[[], Task], str, str]] = {
    "two topic words": (lambda: two_topic_words(DEFAULT), ONE_WORD, "800 of 800"),
    "20 % label noise": (lambda: with_noise(DEFAULT, 0.2), LABELS, "160 of 800"),
    "25 % label noise": (lambda: with_noise(DEFAULT, 0.25), LABELS, "200 of 800"),
    "15 % label noise as a setting": (lambda: replace(PUBLISHED, label_noise=0.15).draw(0), LABELS, "of 800"),
    "two topic words as a setting": (
        lambda: replace(PUBLISHED, topic_words=4, topic_words_per_sentence=2, sentences=1600).draw(0),
        ONE_WORD,
        "1,600 of 1,600",
    ),
    "one wrong label": (lambda: with_noise(DEFAULT, 1 / 800), LABELS, "1 of 800"),
    "a dictionary of 10": (lambda: replace(PUBLISHED, dictionary=10).draw(0), RARE, "10 other words, each 1,600 times"),
    "a dictionary of 300": (lambda: replace(PUBLISHED, dictionary=300).draw(0), RARE, "2.7 %"),
    "unequal lengths": (lambda: unequal_lengths(DEFAULT), ONE_LENGTH, "from 20 to 25"),
    "a coin": (lambda: coin(1000), RARE, "1 other word, each 1,000 times"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_assumption_is_named_and_no_other(case: str) -> None:
    build, assumption, number = BROKEN[case]
    found = failing(build())
    assert list(found) == [("B1", assumption), ("C10", assumption)]
    assert all(number in detail for detail in found.values())


def test_the_coin_of_contributing_has_too_few_flips_beside() -> None:
    assert list(failing(coin())) == [("B1", RARE), ("B1", MANY), ("C10", RARE)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [*(case for case in BROKEN if case not in ("one wrong label", "unequal lengths")), "default"]
)
def test_where_none_is_named_a_run_stays_near_its_laws_and_elsewhere_not(case: str) -> None:
    """Unequal lengths are left out: under their mean, which the command takes, the relation is hardly off."""
    task = BROKEN[case][0]() if case in BROKEN else DEFAULT
    config = Config(model="attn-fc", epochs=5000)
    begin = start(config, task)
    summary = summarise(annotate(train(config, task, begin), config, task, begin), 0.0)
    broken = [each["assumption"] for each in summary["assumptions"] if not each["holds"]]
    assert (summary["sen_residual"] > ALLOWED) == bool(broken) == (case in BROKEN)


# --- each threshold from both sides


def even(sentences_each: int, *, own: int = 4) -> Task:
    """Two topic words, each in so many sentences, whose `own` other words stand nowhere else."""
    kinds, n = np.repeat([0, 1], sentences_each), 2 * sentences_each
    rows = [[("a", "b")[kind], *(f"w{own * i + k}" for k in range(own))] for i, kind in enumerate(kinds)]
    vocabulary = ("a", "b", *(f"w{k}" for k in range(own * n)))
    return Task(
        name="even", train=Corpus.from_sentences(rows, kinds, vocabulary=vocabulary), topic_words=(("a",), ("b",))
    )


@pytest.mark.parametrize(("sentences_each", "named"), [(49, [("B1", MANY)]), (50, [])])
def test_half_a_sentences_share_of_one_per_cent_takes_fifty(sentences_each: int, named: list) -> None:
    assert list(failing(even(sentences_each))) == named


def test_words_that_stand_once_are_taken_in_by_mean_field_but_not_by_the_relation() -> None:
    found = failing(even(60, own=1))
    assert list(found) == [("B1", RARE)]
    assert "1.7 %" in found["B1", RARE]


@pytest.mark.parametrize(
    ("score", "named"), [(0.019, [("C10", FROM_ZERO)]), (0.021, [("B1", FROM_ZERO), ("C10", FROM_ZERO)])]
)
def test_scores_of_other_words_at_the_start_count_by_what_they_do_to_m(score: float, named: list) -> None:
    begin = begun(DEFAULT, preset="lmn21")
    assert named == list(failing(DEFAULT, replace(begin, keys=_scored(begin, score))))


def _scored(begin: Parameters, score: float) -> np.ndarray:
    """Keys under which every word but the topic words has this score, by expm1 a share of m."""
    keys = np.outer(np.full(len(begin.keys), np.log1p(score)), begin.query) / (begin.query @ begin.query)
    keys[:8] = 3.0
    return keys


@pytest.mark.parametrize(("size", "named"), [(0.0099, []), (0.0101, [("B1", FROM_ZERO), ("C10", FROM_ZERO)])])
def test_embeddings_of_other_words_at_the_start_count_where_they_do_not_average_out(size: float, named: list) -> None:
    begin = begun(DEFAULT, preset="mean-field")
    embeddings = np.zeros_like(begin.embeddings)
    embeddings[8:, 0] = size
    embeddings[:8] = 5.0  # the words themselves may start anywhere
    found = failing(DEFAULT, replace(begin, embeddings=embeddings))
    assert list(found) == named
    assert not found or f"norms up to {size}, where 0 and 0.01 are allowed" in found["C10", FROM_ZERO]


def test_embeddings_that_average_out_leave_the_relation_alone() -> None:
    begin = begun(DEFAULT)
    assert list(failing(DEFAULT, replace(begin, embeddings=100 * begin.embeddings))) == [("C10", FROM_ZERO)]


def test_a_word_that_goes_with_a_label_is_named() -> None:
    counts = DEFAULT.train.counts.toarray()
    told, told_nothing = np.flatnonzero(DEFAULT.train.labels == 2)[:40], np.arange(0, 800, 20)
    for place, rows in ((8 + 76, told), (8 + 77, told_nothing)):
        counts[:, place] = 0
        counts[rows, place] = 1
    for row in counts:  # as many words as before
        while row.sum() > 21:
            row[100 + np.flatnonzero(row[100:])[0]] -= 1
        row[100 + np.flatnonzero(row[100:])[0]] += 21 - row.sum()
    found = failing(changed(DEFAULT, counts))
    assert list(found) == [("B1", SILENT), ("C10", SILENT)]
    assert "1 of" in found["B1", SILENT]
    assert "“w77”, as 40 of its 40 sentences have label 2" in found["B1", SILENT]


def test_labels_shuffled_say_nothing_a_hundred_times() -> None:
    """By Sanov's bound one in a thousand would be named by chance at most."""
    rng = np.random.default_rng(0)
    small = replace(PUBLISHED, dictionary=50, other_words=5, sentences=100, topics=3).draw(0)
    for _ in range(100):
        found = check_assumptions(changed(small, labels=rng.permutation(small.train.labels)), begun(small), train=TRAIN)
        assert all(each.holds for each in found if each.assumption == SILENT)


@pytest.mark.parametrize("m", [1, 20])
def test_the_relation_moves_by_no_more_than_is_said(m: int) -> None:
    """By half a share of m, and by κ if others fall by κ s, up to the scores named in the code."""
    scores, small = np.linspace(0.1, 3.0 if m == 1 else 4.6, 200), 0.01
    base = sen_norm(scores, m, 1.0, 0.0, 0.0)
    assert np.all(np.abs(sen_norm(scores, m * (1 - small), 1.0, 0.0, 0.0) / base - 1) <= small / 2 / (1 - small))
    fallen = np.sqrt(2 * (scores + np.expm1((1 + small) * scores) / (m * (1 + small))))
    assert np.all((fallen / base - 1 <= small) & (fallen >= base))
    assert np.any(fallen / base - 1 >= small / 2)


# --- settings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (("query", *TRAIN), [("A1", FIXED), ("B1", FIXED), ("C10", FIXED)]),
        (("keys", "head"), [("B1", TRAINED)]),
        (("embeddings",), [("B1", TRAINED)]),
        (("keys", "embeddings"), []),
    ],
)
def test_what_moves_is_an_assumption_too(settings: tuple[str, ...], named: list) -> None:
    found = {(law.replace("C9", "C10"), name) for law, name in failing(DEFAULT, train=settings)}
    assert found == set(named)


def test_mean_field_is_named_by_what_is_trained() -> None:
    begin = begun(DEFAULT)
    assert mean_field_law(DEFAULT, begin, train=TRAIN) == "C10"
    assert mean_field_law(DEFAULT, begin, train=("keys", "embeddings")) == "C9"
    assert mean_field_law(DEFAULT, replace(begin, head=FixedLinear(weight=begin.head.first_layer)), train=TRAIN) == "C9"
    assert mean_field_law(DEFAULT, begun(DEFAULT, model="attn-tl"), train=TRAIN) is None
    assert mean_field_law(replace(DEFAULT, topic_words=()), begin, train=TRAIN) is None


def test_an_unknown_name_or_word_is_refused() -> None:
    with pytest.raises(InputError, match="any of query, keys"):
        check_assumptions(DEFAULT, begun(DEFAULT), train=("key",))
    with pytest.raises(InputError, match="'nowhere'"):
        check_assumptions(DEFAULT, begun(DEFAULT), train=TRAIN, words=["nowhere"])


def test_the_passage_of_the_readme_names_the_noise(capsys: pytest.CaptureFixture[str]) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    section = readme.read_text(encoding="utf-8").split("\n## Change an assumption")[1]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    exec(example[1], {})
    told = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[:2] for line in told] == [["B1", LABELS], ["C10", LABELS]]
    detail = failing(replace(PUBLISHED, dictionary=10).draw(0))["B1", RARE]
    assert detail in " ".join(section.split("\n## ")[0].replace("\n> ", " ").split())


# --- followed words, where no topic words are named


def test_followed_words_are_checked_where_no_topic_words_are_named() -> None:
    text = replace(DEFAULT, topic_words=())
    begin = begun(DEFAULT)
    assert failing(text, begin, words=FOLLOWED) == {}
    noisy = failing(replace(with_noise(DEFAULT, 0.2), topic_words=()), begin, words=FOLLOWED)
    assert list(noisy) == [("B1", LABELS)]
    assert "their followed word" in noisy["B1", LABELS]


def test_a_topic_word_that_is_not_followed_is_found_as_a_word_that_tells() -> None:
    task = replace(two_topic_words(DEFAULT), topic_words=())
    found = failing(task, begun(DEFAULT), words=FOLLOWED[::2])
    assert list(found) == [("B1", SILENT)]
    assert re.search(r"4 of .* “t\d\.2”, as (\d+) of its \1 sentences", found["B1", SILENT])


def test_words_in_no_training_sentence_leave_only_the_settings_to_check() -> None:
    vocabulary = ("good", "film", "unheard")
    corpus = Corpus.from_sentences([["good", "film"], ["film", "film"]], [1, 0], vocabulary=vocabulary)
    task = Task(name="own", train=corpus)
    found = check_assumptions(task, begun(task), train=TRAIN, words=["unheard"])
    assert [(each.law, each.assumption) for each in found] == [("A1", FIXED), ("B1", FIXED), ("B1", TRAINED)]
    assert ("B1", MANY) in failing(task, words=["unheard", "good"])
    named = replace(task, topic_words=(("unheard",), ()))
    assert list(failing(named)) == [("C10", ONE_WORD)]


def test_a_word_given_twice_is_one_word() -> None:
    assert failing(DEFAULT, words=["t1.1", "t1.1"]) == {}


def test_a_word_alone_or_repeated_is_no_topic_word() -> None:
    vocabulary = ("a", "b", "x")
    alone = Corpus.from_sentences([["a"], ["b"]] * 60, [0, 1] * 60, vocabulary=vocabulary)
    twice = Corpus.from_sentences([["a", "a"], ["b", "x"]] * 60, [0, 1] * 60, vocabulary=vocabulary)
    for corpus, name in ((alone, BESIDE), (twice, ONE_WORD)):
        task = Task(name="own", train=corpus, topic_words=(("a",), ("b",)))
        found = failing(task)
        assert {("B1", name), ("C10", name)} <= found.keys()
        assert not {("B1", ONE_LENGTH), ("C10", ONE_LENGTH)} & found.keys() or corpus is twice


# --- how it is told


SHOWN = [
    Assumption("B1", RARE, False, "there are 10"),
    Assumption("C10", RARE, False, "there are 10"),
    Assumption("C10", FROM_ZERO, False, "they do not"),
    Assumption("B1", MANY, True, "in 100"),
]


def test_laws_that_fail_alike_share_a_sentence() -> None:
    told = [*sentences([each._asdict() for each in SHOWN], {"B1": "SEN (B1)"})]
    assert told == [
        f"SEN (B1) and C10 assume {RARE}: there are 10.",
        f"C10 assumes {FROM_ZERO}: they do not.",
    ]


def test_a_row_of_a_table_names_each_that_fails_with_its_laws() -> None:
    assert broken_in_words([each._asdict() for each in SHOWN]) == f"{RARE} (B1, C10); {FROM_ZERO} (C10)"
    assert broken_in_words([each._asdict() for each in SHOWN if each.holds]) == ""


def test_a_number_has_the_digits_that_tell_it_from_what_is_allowed() -> None:
    assert [percent(share) for share in (0.01, 0.01004, 0.0100000003, 0.0123456, 0.00996, 0.123)] == [
        "1 %",
        "1.004 %",
        "1.00000003 %",
        "1.2 %",
        "0.996 %",
        "12 %",
    ]
    assert [percent(share, 0.3) for share in (0.3, 0.302, 0.344, 3.37)] == ["30 %", "30.2 %", "34 %", "337 %"]


def test_a_legend_names_the_first_that_fails_and_counts_the_others() -> None:
    attributes = {"assumptions": as_text(SHOWN)}
    assert from_text(attributes["assumptions"]) == SHOWN
    assert curve_name("SEN", ("B1",), attributes) == f"SEN,\nnot met: {RARE}"
    assert curve_name("mean field", ("C9", "C10"), attributes) == f"mean field,\nnot met: {RARE} (+1)"
    assert curve_name("SEN", ("B1",), {}, attributes) == f"SEN,\nnot met: {RARE}"
    assert curve_name("Σ s", ("A1",), attributes) == "Σ s"
    assert curve_name("SEN", ("B1",), {}) == "SEN"


def test_replicates_meet_what_each_of_them_meets() -> None:
    fine = [each._replace(holds=True)._asdict() for each in SHOWN]
    broken = [each._asdict() for each in SHOWN]
    both = {(each["law"], each["assumption"]): each for each in joined([fine, broken, broken])}
    assert not both["B1", RARE]["holds"]
    assert both["B1", RARE]["detail"] == "in 2 of 3 replicates there are 10"
    assert both["B1", MANY] == broken[3]
    assert joined([broken, broken])[0]["detail"] == "there are 10"
    assert joined([fine]) == fine


def test_steps_are_an_assumption_of_the_flow_alone() -> None:
    (b1, c9) = short_steps(["A1", "B1", "B1", "C9"], "the loss rose", 0.5)
    assert b1 == Assumption("B1", SHORT, False, "the loss rose")
    assert c9 == b1._replace(law="C9")
    (held,) = short_steps(["B1"], None, 0.012)
    assert held.holds
    assert "1.2 %" in held.detail


def test_frozen_words_break_what_needs_all_words_to_move() -> None:
    """Topic words break every law; other words all but the relation, and nothing is predicted then."""
    topic = [word for words in DEFAULT.topic_words for word in words]
    others = [word for word in DEFAULT.train.vocabulary if word not in topic]
    for frozen, broken in ((topic, {"A1", "B1", "C10"}), (others, {"A1", "C10"}), ((), set())):
        found = check_assumptions(DEFAULT, begun(DEFAULT), train=TRAIN, frozen_words=frozen)
        assert {each.law for each in found if each.assumption == FREE and not each.holds} == broken
        predicted = predict(DEFAULT, begun(DEFAULT), train=TRAIN, epochs=10, frozen_words=frozen)
        assert isinstance(predicted, str) == bool(frozen)


def test_a_corpus_alone_is_checked_as_a_task_without_topic_words() -> None:
    found = check_assumptions(DEFAULT.train, begun(DEFAULT), train=TRAIN)
    assert {each.law for each in found} == {"A1", "B1"}
    assert isinstance(predict(DEFAULT.train, begun(DEFAULT)), str)
    for call in (check_assumptions, predict):
        with pytest.raises(InputError, match="task: expected a Task"):
            call(begun(DEFAULT), DEFAULT)  # pyright: ignore
        with pytest.raises(InputError, match="start: expected a Parameters"):
            call(DEFAULT, DEFAULT)  # pyright: ignore
