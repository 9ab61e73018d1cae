"""Proof and measurement of each claim, joined into one row of plain values."""

import math
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from attn_dynamics.claims import CLAIMS, Measured, Verdict, in_theory_order
from attn_dynamics.files.storage import Damaged, read_parquet
from attn_dynamics.system.workers import finished, spawned
from proofs import PROOFS, Result

HOLDS, FAILS, ERROR = "holds", "FAILS", "ERROR"
IDS = in_theory_order({*CLAIMS, *PROOFS})
"""Ids of all proved or measured claims, in the order of the theory."""
NAMES = {id: (CLAIMS[id] if id in CLAIMS else PROOFS[id]).name for id in IDS}
"""Short name of each claim, by its id."""


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of verdicts."""

    id: str
    name: str = ""
    statement: str
    """Statement in LaTeX, or in words if the claim is proved but not measured."""
    source: str = ""
    assumptions: str = ""
    proof: str = ""
    """"proved" or "not proved", the case if the proof covers only one, and the number of rejected mutants; or empty."""
    proved: str = ""
    """Proved statement in words; it may be a case of the measured one."""
    taken: str = ""
    """Theorems of analysis that the proof uses, and steps that it checks only by numbers."""
    size: str
    """Size of the measurement, "quick" or "full"."""
    quantity: str = ""
    measured: float = float("nan")
    bound: float = float("nan")
    slack: str = ""
    """Ratio of bound to value for each part, and the largest that is allowed."""
    rests_on: str = ""
    """Origin of the bound: "formula", or "observation" if part of it was chosen after the observation."""
    tolerance: str = ""
    detail: str = ""
    control: str = ""
    """Number of controls that failed, as they must, and parts of the measurement that none of them fails."""
    controls: Sequence[Mapping[str, Any]] = ()
    """Each control: its text, and the value and bound that it measured."""
    verdict: str
    seconds: float


def judge(id: str, *, quick: bool) -> Row:
    """Prove and measure one claim; an error is a verdict too, and does not stop other claims."""
    begun = time.perf_counter()
    cells: dict[str, Any] = {"name": NAMES.get(id, "")} | _names(id)
    try:
        proof = PROOFS[id].prove() if id in PROOFS else None
        verdict = CLAIMS[id].judge(quick=quick) if id in CLAIMS else None
        cells |= (_proof_cells(proof) if proof else {}) | (_claim_cells(verdict) if verdict else {})
        judged = HOLDS if all(each.holds for each in (proof, verdict) if each) else FAILS
    except Exception as error:
        cells, judged = cells | {"detail": f"{type(error).__name__}: {error}"}, ERROR
    return Row(id=id, size="quick" if quick else "full", verdict=judged, seconds=time.perf_counter() - begun, **cells)


def judge_all(ids: Sequence[str], *, quick: bool, workers: int) -> Generator[Row]:
    """Yield rows as they are ready, from processes of one thread each, which are killed at the end."""
    with spawned(workers) as pool:
        for done in finished(pool, partial(judge, quick=quick), ids, at_once=len(ids)):
            yield from [each.result() for each in done]


def read_rows(path: Path) -> list[Row]:
    """Read a table of verdicts.

    Raises:
        Damaged: the file cannot be read, or it is a table of something else.
    """
    try:
        records = read_parquet(path).to_dict("records")
        return [Row(**{str(name): value for name, value in record.items()}) for record in records]
    except TypeError as error:  # columns of another version
        raise Damaged(path, error) from None


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows in the order of the theory."""
    return sorted(rows, key=lambda row: IDS.index(row.id))


def _names(id: str) -> dict[str, Any]:
    """Return the fields of a claim that are known before it is judged."""
    if id not in CLAIMS:
        return {"statement": PROOFS[id].title}
    claim = CLAIMS[id]
    names = ("source", "assumptions", "quantity", "tolerance")
    return {"statement": f"${claim.statement}$"} | {name: getattr(claim, name) for name in names}


def _proof_cells(proof: Result) -> dict[str, Any]:
    case = f" for {proof.case}" if proof.case else ""
    rejected = f"{sum(proof.mutants.values())}/{len(proof.mutants)} mutants rejected"
    return {
        "proof": f"{'proved' if proof.proved else 'not proved'}{case}, {rejected}",
        "proved": proof.title,
        "taken": "; ".join([*proof.taken, *(f"by numbers: {step.name}" for step in proof.numeric)]),
    }


def _claim_cells(verdict: Verdict) -> dict[str, Any]:
    measured = verdict.measured
    unguarded = "".join(f", none fails {name}" for name in verdict.unguarded)
    return {
        "measured": measured.value,
        "bound": measured.bound,
        "slack": "; ".join(filter(None, map(_slack, measured.each().items()))),
        "detail": measured.detail,
        "rests_on": "observation" if verdict.claim.observed else "formula",
        "control": f"{verdict.rejected}/{len(verdict.controls)}{unguarded}",
        "controls": [
            {"control": text, "measured": each.value, "bound": each.bound} for text, each in verdict.controls.items()
        ],
    }


def _slack(part: tuple[str, Measured]) -> str:
    """Describe one part: its name, its slack and the largest that is allowed; "" if the bound is no estimate."""
    name, measured = part
    if math.isnan(measured.slack) or math.isinf(measured.within):
        return ""
    return f"{name.replace('_', ' ')} {measured.slack:.2g} of {measured.within:g}".strip()
