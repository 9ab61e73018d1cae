"""Graph of the claims as SVG: how each is known, and which rest on which.

Shape, outline and words say how a claim is known, so that the graph needs no colour.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, get_args

from analysis.judge import NAMES
from analysis.render import filled
from attn_dynamics.claims import CLAIMS

Standing = Literal["proved and measured", "proved in a case, measured", "measured only", "proved only", "does not hold"]
"""How a claim is known."""
STANDINGS: tuple[Standing, ...] = get_args(Standing)
ORDER = "MABCDEFG"
"""Groups from top to bottom: what others rest on comes first."""
ACROSS = 7
"""Claims of a group in a row."""
WIDE, HIGH, APART = 66, 62, 22
"""Distances between claims of a row and between rows, and how much farther groups are apart, in pixels."""
LEFT, TOP = 26, 56
"""Place of the first claim, in pixels."""
WIDTH = LEFT + WIDE * (ACROSS - 1) + LEFT
"""Width of the graph in pixels; the titles of groups end at its right edge, where few lines run."""
EDGE = 12
"""Half the height of a mark, in pixels."""
LANE = 3.2
"""Distance of lines that run beside each other between two columns, in pixels."""


class Node(NamedTuple):
    """Claim with the centre of its mark."""

    id: str
    name: str
    standing: Standing
    x: float
    y: float


class Edge(NamedTuple):
    """Claim that rests on a foundation, with the path of the line between them."""

    id: str
    foundation: str
    path: str


def below(id: str) -> tuple[str, ...]:
    """Return the ids of the claims that a claim rests on directly; a claim that is only proved rests on none."""
    return CLAIMS[id].foundations if id in CLAIMS else ()


def above(id: str) -> tuple[str, ...]:
    """Return the ids of the claims that rest on a claim directly."""
    return tuple(each for each, claim in CLAIMS.items() if id in claim.foundations)


def graph(standings: Mapping[str, Standing], groups: Mapping[str, str], address: str) -> str:
    """Draw the claims and what they rest on.

    Args:
        standings: how each claim is known, by its id.
        groups: title of each group of claims, by its letter.
        address: address of the page of a claim, with `{id}` for its id.
    """
    nodes, labels = _placed(standings, groups)
    edges = [*_edges(nodes)]
    bottom = max(node.y for node in nodes.values())
    known: list[Standing] = [each for each in STANDINGS if each in standings.values()]
    legend = [
        Node("", known[k], known[k], LEFT + 210 * (k % 2), bottom + 46 + 32 * (k // 2)) for k in range(len(known))
    ]
    return filled(
        "graph.svg",
        nodes=nodes.values(),
        labels=labels,
        edges=edges,
        legend=legend,
        address=address,
        width=WIDTH,
        height=max(each.y for each in legend) + 24,
    )


def _placed(
    standings: Mapping[str, Standing], groups: Mapping[str, str]
) -> tuple[dict[str, Node], list[tuple[str, float]]]:
    """Return the claims by id, a row or two for each group, and the title of each group with its height."""
    nodes: dict[str, Node] = {}
    labels: list[tuple[str, float]] = []
    y = TOP
    for letter in ORDER:
        ids = [id for id in standings if id.startswith(letter)]
        labels.append((groups[letter], y - (HIGH + APART) / 2))
        across = _width(len(ids))
        for k, id in enumerate(ids):
            nodes[id] = Node(id, NAMES[id], standings[id], LEFT + WIDE * (k % across), y + HIGH * (k // across))
        y += HIGH * -(-len(ids) // across) + APART
    return nodes, labels


def _width(size: int) -> int:
    """Return the length of the rows of a group, as even as can be."""
    return -(-size // -(-size // ACROSS))


def _edges(nodes: Mapping[str, Node]) -> Iterator[Edge]:
    lanes = _lanes(nodes)
    for id in nodes:
        for foundation in below(id):
            yield Edge(id, foundation, _path(nodes[foundation], nodes[id], lanes.get(foundation, 0.0)))


def _lanes(nodes: Mapping[str, Node]) -> dict[str, float]:
    """Return how far from the middle of the gap beside it the lines from each foundation run."""
    lanes: dict[str, float] = {}
    for column in {node.x for node in nodes.values()}:
        ids = [id for id, node in nodes.items() if node.x == column and _goes_far(node, nodes)]
        lanes |= {id: LANE * (k - (len(ids) - 1) / 2) for k, id in enumerate(ids)}
    return lanes


def _goes_far(start: Node, nodes: Mapping[str, Node]) -> bool:
    return any(_is_far(start, nodes[id]) for id in above(start.id))


def _is_far(start: Node, end: Node) -> bool:
    """Return whether there is a row between two claims."""
    return abs(end.y - start.y) > HIGH + APART


def _path(start: Node, end: Node, lane: float) -> str:
    """Return the path of a line between two marks, which passes behind no other.

    Within a row it is an arc above; to the next row it is direct. Farther it goes along the gap between two columns, in
    the lane of the foundation, so that all lines from one foundation run together.
    """
    if start.y == end.y:
        top, rise = start.y - EDGE, 12 + 0.04 * abs(end.x - start.x)
        return f"M{start.x} {top}C{start.x} {top - rise} {end.x} {top - rise} {end.x} {top - 3}"
    way = 1 if end.y > start.y else -1
    first, last = start.y + EDGE * way, end.y - (EDGE + 3) * way
    turn = way * (HIGH - 2 * EDGE) * 0.7
    if not _is_far(start, end):
        return f"M{start.x} {first}C{start.x} {first + turn} {end.x} {last - turn} {end.x} {last}"
    gap = start.x + WIDE / 2 + lane
    down = f"C{start.x} {first + turn} {gap} {first} {gap} {first + turn}"
    return f"M{start.x} {first}{down}L{gap} {last - turn}C{gap} {last} {end.x} {last - turn} {end.x} {last}"
