"""Claims of the theory, each measured and judged in a file that its id begins; a new one is one file more.

Symbols are those of docs/theory.md, in "Model and notation" and in the passage of the claim.
"""

from importlib import import_module
from pkgutil import iter_modules

from attn_dynamics.claims.claim import CLAIMS, Claim, Control, Measured, Verdict, claims, control, find, in_theory_order

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

CLAIMS.update({id: CLAIMS.pop(id) for id in in_theory_order(CLAIMS)})

__all__ = ["CLAIMS", "Claim", "Control", "Measured", "Verdict", "claims", "control", "find", "in_theory_order"]
