"""Verdicts that the documentation shows: what a full run of all claims found, as a small text file and a badge."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from analysis.judge import HOLDS, Row
from analysis.render import filled
from attn_dynamics.files.storage import Damaged, read_json_object

DOCS = Path(__file__).parents[1] / "docs"
VERDICTS, BADGE = "verdicts.json", "badge.svg"
LETTER, MARGIN = 6.4, 8
"""Width of a letter of the badge and the margin beside its texts, in pixels."""


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Verdict on one claim, with numbers of three digits: more would change from machine to machine."""

    verdict: str
    proof: str
    """"proved" or "not proved", the case if the proof covers only one, and the number of rejected mutants; or empty."""
    measured: float | None
    """Measured number; None if there is none."""
    bound: float | None
    slack: str
    """Ratio of bound to value for each part, and the largest that is allowed."""
    detail: str
    """Further findings: rates, intervals, sizes."""
    controls: Sequence[Mapping[str, Any]]
    """Each control: its text, and the value and bound that it measured; None for a value that is not finite."""

    @property
    def failing(self) -> int:
        """Return the number of controls that failed, as they must."""
        return sum(excess(each) > 1.0 for each in self.controls)


@final
@dataclass(frozen=True, kw_only=True)
class Published:
    """Verdicts on all claims, from one run."""

    date: str
    commit: str
    versions: str
    text: str
    """Real text that was measured, or why none was."""
    claims: Mapping[str, Outcome]

    @property
    def summary(self) -> tuple[str, str]:
        """Return the two texts of the badge: how many claims hold, and how many controls fail."""
        held = sum(each.verdict == HOLDS for each in self.claims.values())
        shown = f"{held}" if held == len(self.claims) else f"{held} of {len(self.claims)}"
        return f"{shown} claims hold", f"{sum(each.failing for each in self.claims.values())} controls fail"


def excess(control: Mapping[str, Any]) -> float:
    """Return how many times its bound a control measured; infinite if that is not finite, or if the bound is 0."""
    measured, bound = control["measured"], control["bound"]
    if measured is None or not math.isfinite(measured):
        return math.inf
    if not bound:
        return math.inf if measured > 0 else 0.0
    return measured / bound


def outcome(row: Row) -> Outcome:
    """Return what is published of a row of the table of verdicts."""
    return Outcome(
        verdict=row.verdict,
        proof=row.proof,
        measured=_rounded(row.measured),
        bound=_rounded(row.bound),
        slack=row.slack,
        detail=row.detail,
        controls=[
            {"control": each["control"], "measured": _rounded(each["measured"]), "bound": _rounded(each["bound"])}
            for each in row.controls
        ],
    )


def read(folder: Path = DOCS) -> Published:
    """Read the published verdicts.

    Raises:
        Damaged: the file does not exist, or it is none of published verdicts.
    """
    path = folder / VERDICTS
    content = read_json_object(path)
    try:
        claims = {id: Outcome(**each) for id, each in content.pop("claims").items()}
        return Published(claims=claims, **content)
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged(path, error) from None


def content(published: Published) -> dict[str, Any]:
    """Return published verdicts ready for JSON."""
    return asdict(published)


def badge(published: Published) -> str:
    """Draw the badge as SVG."""
    told, broken = published.summary
    left, right = (round(LETTER * len(each)) + 2 * MARGIN for each in (told, broken))
    whole = all(each.verdict == HOLDS for each in published.claims.values())
    return filled("badge.svg", told=told, broken=broken, left=left, right=right, holds=whole)


def _rounded(value: float | None) -> float | None:
    # A table holds None for NaN.
    return float(f"{value:.3g}") if value is not None and math.isfinite(value) else None
