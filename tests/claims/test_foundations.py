"""Claim: what each claim rests on is a graph without cycles, and holds every claim that its passage takes as given."""

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import pytest

from analysis.judge import IDS
from analysis.pages.claim_graph import above, below
from analysis.theory_page import THEORY, paragraphs, passages

FOUNDATIONS = {id: below(id) for id in IDS}
GIVEN = ("Assumptions", "Proof", "Idea")
"""Paragraphs of a passage that name what it takes as given."""
CONTRASTS = {("B8", "E3"), ("C1", "C9"), ("C6", "E1")}
"""Claims that such a paragraph names beside what it takes as given: where it is seen, or what holds instead."""


def unknown(foundations: Mapping[str, Sequence[str]]) -> set[str]:
    """Ids that are no claims."""
    return {each for direct in foundations.values() for each in direct} - {*IDS}


def beneath(id: str) -> set[str]:
    """Ids of all claims that a claim rests on, directly or through others."""
    return {*below(id)}.union(*map(beneath, below(id)))


def unsaid(text: str) -> set[tuple[str, str]]:
    """Claims with others that their passage takes as given and that the graph does not have beneath them."""
    cited = {
        (id, other)
        for id, passage in passages(text).items()
        for label, paragraph in paragraphs(passage).items()
        if label in GIVEN
        for other in re.findall(r"\b([A-GM]\d+)\b", paragraph)
    }
    return {(id, other) for id, other in cited if other not in beneath(id) | {id}} - CONTRASTS


def test_it_is_a_graph_of_claims_without_cycles() -> None:
    assert unknown(FOUNDATIONS) == set()
    TopologicalSorter(FOUNDATIONS).prepare()
    assert unknown({"B1": ("Z9",)}) == {"Z9"}, "negative control"
    with pytest.raises(CycleError):
        TopologicalSorter({**FOUNDATIONS, "M1": ("B1",)}).prepare()


def test_it_holds_what_the_passages_take_as_given() -> None:
    text = THEORY.read_text(encoding="utf-8")
    assert unsaid(text) == set()
    assert unsaid(text.replace("**Proof.** Attention sums to one", "**Proof.** By B1 attention sums to one")) == {
        ("A1", "B1")
    }, "negative control"


def test_what_rests_on_a_claim() -> None:
    assert set(above("B5")) == {"B9"}
    assert beneath("B9") == {"B5", "B1", "M1"}
