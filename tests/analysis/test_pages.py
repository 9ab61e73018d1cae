"""Claim: a claim's page says what registries, theory and verdicts say of it; the graph's lines pass behind no mark."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.judge import IDS
from analysis.pages import __main__ as pages
from analysis.pages import claim_graph
from analysis.pages.claim_graph import Edge, Node
from analysis.pages.claim_page import Book, heading, in_short, linked, moved, page, plain, standing
from analysis.pages.pictures import pictures
from analysis.render import filled
from analysis.theory_page import THEORY, groups, passages
from analysis.verdict_file import DOCS, Outcome, Published
from attn_dynamics.claims import CLAIMS
from attn_dynamics.commands.shell import BAD_INPUT, record_command
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import make_folder
from attn_dynamics.results.figures.style import write_figure
from proofs import PROOFS
from tests.test_docs import dead

HELD = Outcome(
    verdict="holds",
    proof="proved, 7/7 mutants rejected",
    measured=1e-10,
    bound=3e-10,
    slack="3 of 10",
    detail="",
    controls=[
        {"control": "a wrong m | n", "measured": 0.5, "bound": 3e-10},
        {"control": "half of ‖q‖", "measured": 3.6e-7, "bound": 3e-10},
    ],
)
PUBLISHED = Published(date="today", commit="abc1234", versions="numpy 2", text="SST-2", claims={"B1": HELD})
TEXT = THEORY.read_text(encoding="utf-8")
BOOK = Book(DOCS / "generated" / "claims", passages(TEXT), groups(TEXT), PUBLISHED)


def test_the_page_of_a_claim_holds_passage_proof_measurement_and_verdict() -> None:
    text = page("B1", BOOK)
    assert "# SEN relation (B1)" in text
    assert "is proved and measured, as judged on today" in text
    assert "LMN21 let them average to 0" in text
    assert "Hold the query, and take a word" in text
    assert text.count("```math") == 1 + len([*PROOFS["B1"].derivation()])
    assert all(mutant.text in text for mutant in PROOFS["B1"].mutants)
    assert CLAIMS["B1"].statement in text
    assert r"| a wrong m \| n | 0.5 | 3e-10 | above a million |" in text
    assert "| half of ‖q‖ | 3.6e-07 | 3e-10 | 1,200 |" in text
    assert "[Inverse of SEN (B4)](B4.md)" in text
    assert "abc1234" in text


def test_a_page_says_what_its_claim_is_about_before_the_claim() -> None:
    order = ["Hold the query, and take a word", "**Statement**", "- **Assumptions.**", "## Proof"]
    places = [page("B1", BOOK).index(each) for each in order]
    assert places == sorted(places)


def leaning(texts: Mapping[str, str]) -> set[str]:
    """Claims with a paragraph that only points at another claim or at what stands above it."""
    return {id for id, text in texts.items() if re.search(r"\*\* As (above|[A-GM]\d+)\b", text)}


def test_each_page_stands_alone() -> None:
    texts = {id: passage.text for id, passage in BOOK.passages.items()}
    assert leaning(texts) == set()
    assert leaning({**texts, "D3": "- **Seen.** As D2."}) == {"D3"}, "negative control"


def test_the_index_says_what_a_claim_states_instead_of_its_name() -> None:
    lines = {id: in_short(id, BOOK.passages) for id in IDS}
    assert {id for id in IDS if lines[id] == BOOK.passages[id].title} == set()
    assert lines["C7"] == "Heads of lower capacity leave more to attention: final topic-word scores FC > TC > TL"
    assert r"\frac{1}{N_w}$, $m_w$ the mean" in lines["E3"]
    assert re.sub(r"\\\|", "", "".join(lines.values())).count("|") == 0, "a sign of tables"


def test_a_claim_that_fails_says_so() -> None:
    fallen = replace(PUBLISHED, claims={"B1": replace(HELD, verdict="FAILS")})
    assert "This claim does not hold, as judged on today" in page("B1", replace(BOOK, published=fallen))


def test_without_verdicts_the_registries_tell_how_a_claim_is_known() -> None:
    known = {id: standing(id, None) for id in ("B1", "A8", "B2", "M1")}
    assert [*known.values()] == ["proved and measured", "proved in a case, measured", "measured only", "proved only"]
    assert "no verdict on it is published" in page("B1", replace(BOOK, published=None))


def test_names_begin_with_a_capital_but_formulas_do_not() -> None:
    assert [*map(heading, ("A6", "C1", "B1", "D5", "G5"))] == [
        "n - 1 dimensions move",
        "Mean field, Attn-FC",
        "SEN relation",
        "A narrow start",
        "Adam",
    ]


def test_ids_lead_to_pages_but_not_those_in_formulas_code_and_links() -> None:
    text = "By B1, $B1 + \\mathrm{B1}$, `B1`, [B1](x.md), LMN21 and Z9"
    assert linked(text, {"B1"}) == text.replace("By B1", "By [B1](B1.md)")


def test_links_of_the_theory_are_those_from_the_page() -> None:
    text = "[a](../proofs/sen.py) [b](results.md#c) [d](https://e.org) [f](#g)"
    assert moved(text, DOCS / "generated" / "claims") == (
        "[a](../../../proofs/sen.py) [b](../../results.md#c) [d](https://e.org) [f](../../theory.md#g)"
    )


@pytest.mark.slow
def test_every_claim_has_a_page_and_no_link_is_dead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "generated"
    assert pages.main(["--out", str(out)]) == 0
    written = [*out.rglob("*.md")]
    assert {path.stem for path in (out / "claims").glob("*.md")} == {*IDS, "index"}
    assert [target for path in written for target in dead(path)] == []
    table = (out / "verdicts.md").read_text()
    for id in IDS:
        (line,) = re.findall(rf"^\| \[[^|]*\]\(claims/{id}\.md\) \|.*$", table, re.MULTILINE)
        assert all(f"[{each}](claims/{each}.md)" in line for each in claim_graph.below(id))
    assert set(re.findall(r'href="claims/(\w+)\.html"', (out / "graph.svg").read_text())) == set(IDS)
    assert pages.main(["--out", str(out)]) == BAD_INPUT
    assert "--overwrite" in capsys.readouterr().err
    assert pages.main(["--out", str(out), "--overwrite"]) == 0


def some_figure() -> Figure:
    """Draw a figure."""
    return Figure(figsize=(6.0, 1.0))


def test_pictures_are_small_and_have_command_and_sentence(tmp_path: Path) -> None:
    results = tmp_path / "runs" / "one"
    record_command(make_folder(results), "python -m analysis.theory_figures --quick --out runs/one --overwrite")
    write_figure(some_figure, results / "prediction.png")
    (shown,) = pictures(tmp_path / "runs", tmp_path / "figures")
    assert shown[0] == "prediction"
    assert shown[2:] == ("python -m analysis.theory_figures --quick", "A figure.")
    with Image.open(shown.path) as image:
        assert image.width == 720
    assert "A figure. `python -m analysis.theory_figures --quick` draws it." in page(
        "C1", replace(BOOK, pictures=[shown])
    )
    text = filled("gallery.md", commands=pages.by_command([shown]), plain=plain)
    assert "![prediction](figures/one/prediction.png)" in text
    write_figure(lambda: some_figure(), results / "untold.png")
    with pytest.raises(InputError, match="untold"):
        list(pictures(tmp_path / "runs", tmp_path / "figures"))


def behind(nodes: Mapping[str, Node], edges: list[Edge]) -> set[tuple[str, str, str]]:
    """Edges that pass behind a mark which is neither of their ends."""
    return {
        (edge.id, edge.foundation, node.id)
        for edge in edges
        for node in nodes.values()
        if node.id not in (edge.id, edge.foundation)
        for x, y in points(edge.path)
        if abs(x - node.x) < 19 and abs(y - node.y) < claim_graph.EDGE
    }


def points(path: str) -> Iterator[tuple[float, float]]:
    """Points on a path of straight lines and cubic curves."""
    at = np.zeros(2)
    for kind, numbers in re.findall(r"([MLC])([^MLC]*)", path):
        ends = np.array(numbers.split(), float).reshape(-1, 2)
        corners = {"M": [ends[-1]] * 4, "L": [at, (2 * at + ends[-1]) / 3, (at + 2 * ends[-1]) / 3, ends[-1]]}
        first, second, third, last = corners[kind] if kind in corners else [at, *ends]
        for t in np.linspace(0.0, 1.0, 60):
            x, y = (1 - t) ** 3 * first + 3 * t * (1 - t) ** 2 * second + 3 * t * t * (1 - t) * third + t**3 * last
            yield float(x), float(y)
        at = ends[-1]


def crossed(labels: list[tuple[str, float]], edges: list[Edge], *, right: float) -> set[str]:
    """Headings that a line passes behind; each ends at `right`, and its letters are 5.3 pixels wide and 11 high."""
    return {
        label
        for label, bottom in labels
        for edge in edges
        for x, y in points(edge.path)
        if right - 5.3 * len(label) < x < right and bottom - 11 < y < bottom
    }


def test_no_line_of_the_graph_passes_behind_a_heading() -> None:
    titles = {letter: group.title for letter, group in BOOK.groups.items()}
    nodes, labels = claim_graph._placed({id: standing(id, None) for id in IDS}, titles)
    edges, right = [*claim_graph._edges(nodes)], claim_graph.WIDTH - 2
    assert crossed(labels, edges, right=right) == set()
    assert "The differentiable window" in crossed(labels, edges, right=right / 3), "negative control"


def test_no_line_of_the_graph_passes_behind_a_mark() -> None:
    nodes, _ = claim_graph._placed({id: standing(id, None) for id in IDS}, dict.fromkeys(claim_graph.ORDER, ""))
    edges = [*claim_graph._edges(nodes)]
    assert len(edges) == sum(len(claim_graph.below(id)) for id in IDS)
    assert behind(nodes, edges) == set()
    straight = [
        edge._replace(
            path=f"M{nodes[edge.foundation].x} {nodes[edge.foundation].y}L{nodes[edge.id].x} {nodes[edge.id].y}"
        )
        for edge in edges
    ]
    assert ("G1", "A1", "B1") in behind(nodes, straight), "negative control"
