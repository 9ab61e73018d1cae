"""Claim A8: what data sets reach and what laws forbid make up all dimensions; the table of docs/theory.md."""

import re
from pathlib import Path

import pytest

from attn_dynamics.claims.a8_completeness import (
    LINEAR,
    SENTENCES,
    Setting,
    drawn,
    judged,
    moves,
    regional,
)
from attn_dynamics.theory.completeness import law_gradients
from attn_dynamics.theory.invariants import invariants
from attn_dynamics.theory.modular import rank

THEORY = Path(__file__).parents[2] / "docs" / "theory.md"


def counted(setting: Setting) -> tuple[int, int, int]:
    """Dimensions, how many data sets reach, and independent laws."""
    rows = moves(setting, 4)
    return rows.shape[1], rank(rows), rank(law_gradients(invariants, drawn(setting).parameters, setting.train))


@pytest.mark.parametrize("setting", LINEAR, ids=str)
def test_the_table_of_the_page_is_what_is_found(setting: Setting) -> None:
    found = counted(setting)
    sizes = ", ".join(map(str, setting[1:5]))
    name = {"attn-tc": "Attn-TC", "attn-fc": "Attn-FC"}[setting.model] + ", scores" * (setting.key_dim == 1)
    row = rf"^\| {name} \| {sizes} \| (\d+) \| (\d+) \| (\d+) \|"
    stated = re.search(row, THEORY.read_text(encoding="utf-8"), re.MULTILINE)
    assert stated is not None, (name, sizes)
    assert tuple(map(int, stated.groups())) == found
    assert found[0] == found[1] + found[2]


@pytest.mark.parametrize("seed", [5, 6])
def test_the_known_laws_of_two_layers_are_all_where_every_unit_switches(seed: int) -> None:
    """Law A7 adds h + 1 to what A1, A2 and A4 list."""
    setting = Setting("attn-tl", 5, 3, 2, 3, 3, seed=seed)
    assert regional(setting) == 0
    assert counted(setting) == (49, 30, 19)
    assert judged(setting, invariants, 4).broken == 0


def test_brackets_are_needed_and_three_fields_are_enough() -> None:
    setting = LINEAR[1]
    ranks = [rank(moves(setting, depth)) for depth in (1, 2, 3, 4)]
    assert ranks[0] < ranks[1] <= ranks[2] == ranks[3] == 17
    assert len(drawn(setting).counts) <= SENTENCES + 4
