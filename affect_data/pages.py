"""Parts of pages that are written from the code, between two marks that a person has placed.

``python -m affect_data.pages``, run in the repository's root, writes the limits into docs/limits.md, and llms.txt from docs/README.md.
"""

import re
from pathlib import Path
from typing import Final

from affect_data.bounds import LIMITS, Limit

PAGE: Final = Path("docs/limits.md")
INDEX: Final = Path("docs/README.md")
FOR_PROGRAMS: Final = Path("llms.txt")

FOR_PROGRAMS_HEAD: Final = """\
# affectkit

> Merges facial-affect databases into one Hugging Face dataset with a mask for every label, trains on these partial labels, and writes a teacher's \
soft labels back as columns.

- [README](README.md): what it is, how to see it work
- [For programs and agents](AGENTS.md): how commands answer, in which order they go"""

_PART: Final = re.compile(r"\| \*\*(.+)\*\* \| \|")
_LINE: Final = re.compile(r"\| \[.+?\]\((.+?)\) \| (.+) \|")


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


def for_programs(index: str) -> str:
    """The pages of the documentation and what they tell, as llms.txt (https://llmstxt.org) has them.

    Args:
        index: docs/README.md; its decisions are left out.
    """
    lines = [FOR_PROGRAMS_HEAD, "", "## Beginning", ""]
    for line in index.partition("## Decisions")[0].splitlines():
        if part := _PART.fullmatch(line):
            lines += ["", f"## {part[1]}", ""]
        elif page := _LINE.fullmatch(line):
            path = page[1].removeprefix("../") if page[1].startswith("../") else f"docs/{page[1]}"
            lines.append(f"- [{path}]({path}): {page[2]}")
    return "\n".join(lines) + "\n"


def _raised(limit: Limit) -> str:
    return f"`{limit.variable}`" if limit.variable else "nothing: no file of a database comes near"


if __name__ == "__main__":
    PAGE.write_text(limits_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    FOR_PROGRAMS.write_text(for_programs(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
