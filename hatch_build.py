"""Put proofs, experiments and analysis into the wheel, below the package, where their names collide with none."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLED = ("proofs", "simulations", "analysis")


class Bundle(BuildHookInterface):
    """Add the packages to a wheel; an editable install finds them in the checkout, so that it needs no copies."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map each package to its place in the wheel."""
        if version == "standard":
            build_data["force_include"] |= {name: f"attn_dynamics/_bundled/{name}" for name in BUNDLED}
