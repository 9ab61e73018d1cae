"""Tokens that are exempt from the bell: a pair with an exempt query or key is attended as without a window.

Through windows, tokens do not influence each other beyond the half-width times the number of layers. An exempt token
sees all tokens and is seen by all, so that two layers connect any two tokens.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, final

import torch
from torch import Tensor

from attn_dynamics.errors import InputError

Kind = Literal["none", "special", "question", "mask"]
KINDS = ("none", "special", "question", "mask")
"""Kinds of exempt tokens. "special" are the special tokens. "question" adds the first of two texts, which ends at the
first separator. "mask" are the tokens of the argument `exempt_tokens` of the encoder's forward."""
ARGUMENT = "exempt_tokens"
"""Name of the encoder's argument for a mask (B, L) of exempt tokens."""


class Tokenizer(Protocol):
    """A tokenizer with the ids of its special tokens; None for a token that it lacks."""

    sep_token_id: int | None
    eos_token_id: int | None
    cls_token_id: int | None
    bos_token_id: int | None


@final
@dataclass(frozen=True)
class Exemption:
    """Rule that exempts tokens of a batch from the bell."""

    kind: Kind = "none"
    """Kind, one of `KINDS`."""
    special: tuple[int, ...] = ()
    """Ids of the tokens that start, separate or end sequences."""
    separator: int | None = None
    """Id of the token at which a question ends."""

    @classmethod
    def of(cls, kind: Kind, tokenizer: Tokenizer | None) -> "Exemption":
        """Return an exemption with the special tokens of a tokenizer.

        Raises:
            InputError: the kind needs a tokenizer, or the tokenizer has no separator.
        """
        if kind in ("none", "mask"):
            return cls(kind)
        if tokenizer is None:
            fix = "Call windowed(model, settings, tokenizer)."
            raise InputError("tokenizer", expected=f"one, for exempt={kind!r}", given="none", fix=fix)
        ends = (tokenizer.sep_token_id, tokenizer.eos_token_id)
        begins = (tokenizer.cls_token_id, tokenizer.bos_token_id)
        separator = next((each for each in ends if each is not None), None)
        if separator is None:
            fix = "Give exempt='mask', and exempt_tokens with each batch."
            raise InputError("tokenizer", expected="one with a separator", given="one without", fix=fix)
        return cls(kind, tuple(sorted({each for each in begins + ends if each is not None})), separator)

    def tokens(self, ids: Tensor | None, padding: Tensor | None, given: Tensor | None) -> Tensor | None:
        """Return the mask (B, L) of exempt tokens; None if there are none.

        Args:
            ids: token ids (B, L).
            padding: mask (B, L), true or 1 at tokens.
            given: mask (B, L) passed with the batch.

        Raises:
            InputError: the ids or the mask are missing, or a mask is given although the kind is not "mask".
        """
        if (given is None) == (self.kind == "mask"):
            expected = "a mask of exempt tokens (B, L)" if given is None else f"none, for exempt={self.kind!r}"
            fix = "Pass exempt_tokens if the window has exempt='mask', and only then."
            raise InputError(ARGUMENT, expected=expected, given="none" if given is None else "a mask", fix=fix)
        if self.kind == "none":
            return None
        # A mask of pairs hides padding by itself.
        real = padding.bool() if padding is not None and padding.ndim == 2 else torch.ones((), dtype=torch.bool)
        found = self._known(ids, real) if given is None else given.bool()
        return found & real.to(found.device)

    def _known(self, ids: Tensor | None, real: Tensor) -> Tensor:
        if ids is None:
            fix = "Pass input_ids, or give exempt='mask', and exempt_tokens with each batch."
            raise InputError("input_ids", expected=f"token ids, for exempt={self.kind!r}", given="none", fix=fix)
        special = torch.isin(ids, ids.new_tensor(self.special))
        if self.kind == "special":
            return special
        before = (ids == self.separator).cumsum(dim=1) == 0
        # A single text has no question, because no token of a text follows its only separator.
        pair = (real & ~special & ~before).any(dim=1, keepdim=True)
        return special | (before & pair)


NOTHING = Exemption()
"""Rule that exempts no token."""
