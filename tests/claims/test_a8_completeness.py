"""Claim A8: what data sets reach and what laws forbid make up all dimensions; the table of docs/theory.md."""

import re
from pathlib import Path

import pytest

from attn_dynamics.claims.a8_completeness import (
    LARGER,
    LARGER_TWO_LAYERS,
    LINEAR,
    SENTENCES,
    TWO_LAYERS,
    Setting,
    drawn,
    judged,
    moves,
    regional,
)
from attn_dynamics.theory.completeness import law_gradients
from attn_dynamics.theory.invariants import invariants
from attn_dynamics.theory.modular import rank

SWITCHING = TWO_LAYERS[0], LARGER_TWO_LAYERS[0], LARGER_TWO_LAYERS[6]
"""States of two layers, one of each size, in which every unit switches and no two together."""
THEORY = Path(__file__).parents[2] / "docs" / "theory.md"


def counted(setting: Setting) -> tuple[int, int, int]:
    """Dimensions, how many data sets reach, and independent laws."""
    rows = moves(setting, 2)
    return rows.shape[1], rank(rows), rank(law_gradients(invariants, drawn(setting).parameters, setting.train))


@pytest.mark.parametrize("setting", LINEAR + LARGER + SWITCHING, ids=str)
def test_the_table_of_the_page_is_what_is_found(setting: Setting) -> None:
    found = counted(setting)
    sizes = ", ".join(map(str, setting[1 : 6 if setting.model == "attn-tl" else 5]))
    name = setting.model.replace("attn", "Attn").replace(setting.model[-2:], setting.model[-2:].upper())
    name += ", scores" * (setting.key_dim == 1)
    row = rf"^\| {name} \| {sizes} \| (\d+) \| (\d+) \| (\d+) \|"
    stated = re.search(row, THEORY.read_text(encoding="utf-8"), re.MULTILINE)
    assert stated is not None, (name, sizes)
    assert tuple(map(int, stated.groups())) == found
    assert found[0] == found[1] + found[2]
    assert setting.model != "attn-tl" or regional(setting) == 0


@pytest.mark.parametrize("seed", [5, 6])
def test_the_known_laws_of_two_layers_are_all_where_every_unit_switches(seed: int) -> None:
    """Law A7 adds h + 1 to what A1, A2 and A4 list."""
    setting = Setting("attn-tl", 5, 3, 2, 3, 3, seed=seed)
    assert regional(setting) == 0
    assert counted(setting) == (49, 30, 19)
    assert judged(setting, invariants, 2).broken == 0


@pytest.mark.parametrize("setting", LINEAR + LARGER + TWO_LAYERS + SWITCHING[1:], ids=str)
def test_brackets_are_needed_and_two_fields_are_enough(setting: Setting) -> None:
    ranks = [rank(moves(setting, depth)) for depth in (1, 2, 3)]
    assert ranks[0] < ranks[1] == ranks[2]
    assert len(drawn(setting).counts) <= SENTENCES + setting.n_words
