"""Foundations of each claim: the claims that its statement, its assumptions or its proof takes as given."""

FOUNDATIONS: dict[str, tuple[str, ...]] = {
    "A1": ("M1",),
    "A2": ("M1",),
    "A3": ("A2", "M4"),
    "A4": ("A3", "M5"),
    "A6": ("M3", "M4", "M5"),
    "A7": ("M2", "M4", "M5"),
    "A8": ("A1", "A4", "A6", "A7"),
    "B1": ("M1",),
    "B2": ("B1", "C9"),
    "B3": ("B1",),
    "B4": ("B1",),
    "B5": ("B1",),
    "B6": ("B1",),
    "B7": ("B1",),
    "B8": ("B1",),
    "B9": ("B5",),
    "C1": ("A6", "M2"),
    "C2": ("C9",),
    "C3": ("B1", "C1"),
    "C4": ("C3",),
    "C5": ("C1",),
    "C6": ("B1", "C1"),
    "C8": ("C3", "C9", "C10"),
    "C9": ("A1", "C1"),
    "C10": ("A1", "A3", "A6"),
    "C11": ("A4", "C3"),
    "C12": ("C3",),
    "C13": ("M4",),
    "D4": ("D2",),
    "D5": ("D2",),
    "D6": ("D2",),
    "D7": ("D5", "D6"),
    "D11": ("D2",),
    "D12": ("D4",),
    "D13": ("D4", "D6"),
    "E1": ("M1", "M2"),
    "E2": ("E1",),
    "E3": ("B2", "E1"),
    "F1": ("M1",),
    "F2": ("M1", "M2"),
    "G1": ("A1", "A4", "A6", "A7", "B1"),
    "G2": ("B3",),
    "G3": ("B1",),
    "G4": ("M3",),
    "G5": ("M2", "M3"),
    "G6": ("B1", "C1"),
}
"""Ids of the claims directly beneath each claim, without those that lie beneath another of them."""


def beneath(id: str) -> set[str]:
    """Return the ids of all claims that a claim rests on, directly or through others."""
    direct = FOUNDATIONS.get(id, ())
    return {*direct}.union(*map(beneath, direct))


def above(id: str) -> tuple[str, ...]:
    """Return the ids of the claims that rest on a claim directly."""
    return tuple(each for each, direct in FOUNDATIONS.items() if id in direct)
