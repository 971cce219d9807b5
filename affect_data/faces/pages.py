"""Writes the table of crop policies into docs/faces.md: ``python -m affect_data.faces.pages``, run in the repository's root."""

from pathlib import Path
from typing import Final

from affect_data.faces.policies import POLICIES, CropPolicy
from affect_data.pages import with_part

PAGE: Final = Path("docs/faces.md")


def faces_page(page: str) -> str:
    """The page with a row for each crop policy between the lines ``<!-- crop policies -->`` and ``<!-- /crop policies -->``."""
    head = [
        "| policy | version | takes | shows | turned | pixels | beyond the picture | file | digest |",
        "|" + "---|" * 9,
    ]
    return with_part(page, "crop policies", "\n".join([*head, *map(_row, POLICIES.values())]))


def _row(policy: CropPolicy) -> str:
    cells = (
        f"`{policy.name}`",
        str(policy.version),
        "box" if policy.needs == "box" else "five points",
        _shown(policy),
        "upright" if policy.template else "no",
        _pixels(policy),
        "its outermost pixels" if policy.border == "edge" else policy.border,
        f"{policy.encoding}, quality {policy.quality}" if policy.is_stored else "none",
        f"`{policy.digest()}`",
    )
    return f"| {' | '.join(cells)} |"


def _shown(policy: CropPolicy) -> str:
    if policy.template:
        return "eyes, nose and mouth in the places of a template"
    if not policy.square:
        return f"the box and {policy.margin:.0%} of each side"
    side = f"a square of {1 + 2 * policy.margin:g} times the box's longer side"
    return side if policy.is_stored else f"{side} (`crop.margin`)"


def _pixels(policy: CropPolicy) -> str:
    if policy.size is not None:
        return f"{policy.size} x {policy.size}"
    return f"the picture's own, at most {policy.longest}" if policy.is_stored else "the model's input"


if __name__ == "__main__":
    PAGE.write_text(faces_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
