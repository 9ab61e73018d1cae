"""Short name of each claim for tables; docs/theory.md has the statements."""

from collections.abc import Iterable

NAMES = {
    "A1": "keys keep their mean",
    "A2": "query, keys balanced",
    "A3": "linear head balanced",
    "A4": "two layers balanced",
    "A5": "any query will do",
    "A6": "n - 1 dimensions move",
    "B1": "SEN relation",
    "B2": "SEN on a finite task",
    "B3": "SEN under descent",
    "B4": "inverse of SEN",
    "B5": "SEN, query trained",
    "C1": "mean field, Attn-FC",
    "C2": "mean field, whole run",
    "C3": "loss times time",
    "C4": "attention nears one",
    "C5": "mutual promotion",
    "C6": "mutual suppression",
    "C7": "capacity and score",
    "C8": "worth of attention",
    "C9": "memorisation",
    "C10": "mean field, Attn-TC",
    "C11": "capacity law",
    "D1": "tokens W22 counted",
    "D2": "what widens a bell",
    "D3": "bell after softmax",
    "D4": "where width settles",
    "D5": "a narrow start",
    "D6": "faster rate",
    "D7": "wide start, or ln σ",
    "D8": "where a bell is cut",
    "D9": "bell by 2 dimensions",
    "D10": "bell as a product",
    "E1": "how scores begin",
    "E2": "the lead passes on",
    "E3": "SEN on text",
    "G1": "gradient of attention",
    "G2": "gradient of the loss",
    "G3": "gradient of Attn-FC",
    "G4": "gradient of Attn-TC",
    "G5": "gradient of Attn-TL",
}


def in_theory_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Sort ids of claims as docs/theory.md has them: A9 before A10, and that before B1."""
    return tuple(sorted(ids, key=lambda id: (id[:1], len(id), id)))
