"""Parts of pages that are written from the code, between two marks that a person has placed.

``python -m affect_data.pages``, run in the repository's root, writes the limits into docs/limits.md.
"""

from pathlib import Path
from typing import Final

from affect_data.bounds import LIMITS, Limit

PAGE: Final = Path("docs/limits.md")


def with_part(page: str, name: str, part: str) -> str:
    """The page with a new part between the lines ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the page lacks these lines.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begun, rest = page.partition(f"{begin}\n")
    _, ended, after = rest.partition(f"{end}\n")
    if not begun or not ended:
        raise ValueError(f"the page has no lines '{begin}' and '{end}'")
    return f"{before}{begin}\n\n{part}\n\n{end}\n{after}"


def limits_page(page: str) -> str:
    """The page with a table of all limits between the lines ``<!-- limits -->`` and ``<!-- /limits -->``."""
    rows = [f"| {limit.holds_for} | {limit.default:,} {limit.unit} | {_raised(limit)} |" for limit in LIMITS]
    return with_part(page, "limits", "\n".join(["| of | at most | is raised by |", "|---|---|---|", *rows]))


def _raised(limit: Limit) -> str:
    return f"`{limit.variable}`" if limit.variable else "nothing: no file of a database comes near"


if __name__ == "__main__":
    PAGE.write_text(limits_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
