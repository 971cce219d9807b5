"""Writes the codes of ``affect-data verify`` into ``docs/publishing.md``: ``python -m affect_data.hub.pages``, run where ``docs`` is."""

from pathlib import Path
from typing import Final

from affect_data.hub.codes import CODES
from affect_data.pages import with_part

PAGE: Final = Path("docs/publishing.md")


def publishing_page(page: str) -> str:
    """The page with a table of all codes between the lines ``<!-- codes -->`` and ``<!-- /codes -->``."""
    rows = [f"| {code} | {entry.sentence} | {entry.remedy} |" for code, entry in CODES.items()]
    return with_part(page, "codes", "\n".join(["| code | what is wrong | to fix |", "|---|---|---|", *rows]))


if __name__ == "__main__":
    PAGE.write_text(publishing_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
