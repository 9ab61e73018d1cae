"""Preparations, which turn a text into words, and notes for the user if one harms words of other scripts."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache

_JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner, which are part of the spelling of Persian or Hindi words."""


def _is_mark(letter: str) -> bool:
    """Return whether a character is a combining mark of a word; the variation selectors of emojis are not."""
    return unicodedata.category(letter) in ("Mn", "Mc") and not "\ufe00" <= letter <= "\ufe0f"


class _Spelling(dict[int, int | None]):
    """A table for `str.translate` that keeps letters, digits, marks, joiners, "_" and white space."""

    def __missing__(self, code: int) -> int | None:
        letter = chr(code)
        kept = letter.isalnum() or letter.isspace() or letter in "_" + _JOINERS or _is_mark(letter)
        self[code] = code if kept else None
        return self[code]


_SPELLING = _Spelling()


def _lmn21(text: str) -> list[str]:
    return re.sub(r"[^\w\s]", "", text).split()


def _unicode(text: str) -> list[str]:
    words = unicodedata.normalize("NFC", text).translate(_SPELLING).split()
    return words if text.isascii() else [word for each in words if (word := each.strip(_JOINERS))]


PREPARATIONS: dict[str, Callable[[str], list[str]]] = {"lmn21": _lmn21, "unicode": _unicode, "whitespace": str.split}
"""Functions from a text to its words by name; all keep upper case.

lmn21 deletes all but letters, digits, "_" and white space, then splits at white space, as LMN21 do. unicode first
normalises letters to NFC, and also keeps combining marks. whitespace only splits.
"""


class SpellingWatch:
    """Counter of texts in which a preparation merges different words or splits one word into two spellings."""

    def __init__(self, preparation: str) -> None:
        self._preparation = preparation
        self._is_mark = cache(_is_mark)
        self._count = 0
        self._example = ""

    def see(self, text: str) -> None:
        """Count a text if the preparation harms one of its words."""
        if text.isascii() or not self._harms(text):
            return
        # White space has a normal form too, which changes no word.
        harmed = next((word for word in text.split() if self._harms(word)), "")
        self._count += bool(harmed)
        self._example = self._example or harmed

    @property
    def notes(self) -> list[str]:
        """Return a note for the user if the preparation harmed a text, otherwise an empty list."""
        if not self._count:
            return []
        what = {
            "lmn21": "deletes the combining marks of {} (as in “{}”), so different words may have become one",
            "whitespace": "leaves {} outside the normal form NFC (as in “{}”), so one word may count as two",
        }[self._preparation].format(f"{self._count:,} {'text' if self._count == 1 else 'texts'}", self._example)
        return [f'The preparation "{self._preparation}" {what}. --preparation unicode avoids that.']

    def _harms(self, text: str) -> bool:
        if self._preparation == "lmn21":
            return any(map(self._is_mark, set(text)))
        return self._preparation == "whitespace" and not unicodedata.is_normalized("NFC", text)
