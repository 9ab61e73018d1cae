"""The grid is the product of the values given, and knows every setting of a run."""

from dataclasses import fields

import pytest

from attn_dynamics.commands.sweep.grid import Grid
from attn_dynamics.commands.sweep.table import SETTINGS, settings
from attn_dynamics.errors import InputError
from attn_dynamics.system import options
from attn_dynamics.system.options import read_options
from attn_dynamics.tasks import Synthetic, TextOptions
from attn_dynamics.training.corpus_config import Config

NO_SETTING = {"replicates", "follow", "out", "resume", "overwrite"}
"""Of one run, that a sweep does not have: other starts are other seeds, and its table names no words."""


def parsed(*arguments: str) -> list[Config]:
    return read_options(Grid, arguments, "prog").configs()


def test_without_arguments_it_is_the_one_run_of_the_command() -> None:
    assert parsed() == [Config()]


def test_the_grid_is_the_product_and_seeds_move_fastest() -> None:
    arguments = ("--model", "attn-fc", "attn-tl", "--other-words", "5", "20", "--seed", "3", "1", "2")
    found = [(each.synthetic.other_words, each.model, each.seed) for each in parsed(*arguments)]
    assert found == [(m, model, seed) for model in ("attn-fc", "attn-tl") for m in (5, 20) for seed in (3, 1, 2)]


AXES = {
    "--task": (("synthetic", "films.txt"), lambda each: each.task),
    "--model": (("attn-fc", "attn-tc"), lambda each: each.model),
    "--seed": ((0, 7), lambda each: each.seed),
    "--learning-rate": ((0.1, 0.5), lambda each: each.learning_rate),
    "--embedding-dim": ((5, 10), lambda each: each.embedding_dim),
    "--key-dim": ((3, 10), lambda each: each.key_dim),
    "--hidden-dim": ((5, 10), lambda each: each.hidden_dim),
    "--other-words": ((5, 20), lambda each: each.synthetic.other_words),
    "--dictionary": ((50, 5000), lambda each: each.synthetic.dictionary),
    "--start": (("published", "lmn21"), lambda each: each.start),
    "--start-scale": ((0.5, 2.0), lambda each: each.start_scale),
    "--epochs": ((10, 20), lambda each: each.epochs),
    "--patience": ((0, 100), lambda each: each.patience),
    "--topics": ((2, 4), lambda each: each.synthetic.topics),
}


@pytest.mark.parametrize("flag", AXES)
def test_any_setting_takes_several_values(flag: str) -> None:
    values, setting = AXES[flag]
    assert tuple(map(setting, parsed(flag, *map(str, values)))) == values


def test_trained_subsets_are_given_one_by_one() -> None:
    found = parsed("--train", "keys", "--train", "embeddings", "keys", "--train", "keys", "embeddings")
    assert [each.train for each in found] == [("keys",), ("keys", "embeddings")]


def test_a_value_given_twice_counts_once() -> None:
    assert len(parsed("--seed", "0", "1", "0", "--learning-rate", "0.1", "1e-1")) == 2


def test_every_setting_of_a_run_is_one_of_the_grid() -> None:
    known = {each.name for each in fields(Grid)} | {"synthetic"}
    assert {each.name for each in fields(Config)} - known == NO_SETTING
    assert {each.name for each in fields(Synthetic)} <= known


def test_every_setting_of_a_run_is_a_column() -> None:
    nested, kinds = {"text", "synthetic"}, (Config, Synthetic, TextOptions)
    wanted = {each.name for kind in kinds for each in fields(kind)} - nested - NO_SETTING
    assert set(SETTINGS) == wanted
    for name, value in settings(Config()).items():
        assert value is None or type(value) is SETTINGS[name]


def test_runs_that_differ_have_different_settings() -> None:
    for flag, (values, _) in AXES.items():
        one, other = map(settings, parsed(flag, *map(str, values)))
        assert one != other


@pytest.mark.parametrize("flag", ["--seed", "--model", "--epochs", "--other-words"])
def test_an_empty_axis_is_refused_by_name(flag: str) -> None:
    with pytest.raises(InputError, match=f"{flag}: expected at least one value, got none"):
        parsed("--learning-rate", "0.1", "0.2", flag)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--learning-rate", "0.1", "0"), r"learning_rate: expected a finite number above 0, got 0\.0"),
        (("--start-scale", "1", "-1"), r"start_scale: expected a finite number from 0, got -1\.0"),
        (("--start-scale", "inf"), r"start_scale: expected a finite number from 0, got inf"),
        (("--seed", "0", "-1"), r"seed: expected 0 or more, got -1"),
        (("--dictionary", "5", "0"), r"dictionary: expected 1 or more, got 0"),
        (("--topics", "2", "1"), r"topics: expected 2 or more, got 1"),
    ],
)
def test_one_value_out_of_range_refuses_the_grid(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(*arguments)


@pytest.mark.parametrize("arguments", [("--train",), ("--train", "--seed", "0")])
def test_an_empty_subset_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="--train: expected at least one value"):
        parsed(*arguments)


def test_options_are_read_where_classes_that_are_made_name_their_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As since Python 3.12."""
    monkeypatch.setattr(Grid.__mro__[1], "__module__", Grid.__module__)
    assert options._documentation(Grid)["learning_rate"].startswith("Learning rate")
