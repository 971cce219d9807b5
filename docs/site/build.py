"""Builds the site from the pages of this repository: ``python docs/site/build.py build``. A link that leads nowhere is an error.

The pages are those that people read in the repository, copied with their folders, so that a link means the same in both places. Navigation follows
docs/README.md, which has a line for every page.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
OWN = Path(__file__).parent
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "AGENTS.md",
    "docs/**/*.md",
    "docs/**/*.json",
    "docs/images/*",
    "recipes/**/README.md",
)
BESIDE = ("LICENSE", "affect_data/databases/action_unit_strings.py")
"""Files that pages link to."""

INDEX = "docs/README.md"
PART = re.compile(r"\| \*\*(.+)\*\* \| \|")
LINE = re.compile(r"\| \[.+?\]\((.+?)\) \| .+ \|")


def main(out: Path) -> int:
    """The exit status of building the site into ``out/site``."""
    pages = out / "pages"
    shutil.rmtree(out, ignore_errors=True)
    for pattern in (*PAGES, *BESIDE):
        for file in sorted(REPOSITORY.glob(pattern)):
            if OWN not in file.parents:
                _copy(file, pages / file.relative_to(REPOSITORY))
    _copy(OWN / "api.md", pages / "docs" / "api.md")
    settings = (OWN / "zensical.toml").read_text(encoding="utf-8")
    settings = settings.replace('paths = ["../.."]', f"paths = [{json.dumps(str(REPOSITORY))}]")
    (out / "zensical.toml").write_text(settings.replace("[project]\n", f"[project]\nnav = {_toml(navigation())}\n", 1))
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(out / "zensical.toml")]
    return subprocess.run(command, check=False).returncode


def navigation() -> list[dict[str, Any]]:
    """The sections of the index, each with the titles of its pages."""
    sections: list[dict[str, Any]] = [{"affectkit": "README.md"}]
    part: list[dict[str, str]] = []
    sections.append({"Beginning": part})
    index, _, decisions = (REPOSITORY / INDEX).read_text(encoding="utf-8").partition("## Decisions")
    for line in index.splitlines():
        if begun := PART.fullmatch(line):
            part = []
            sections.append({begun[1]: part})
        elif page := LINE.fullmatch(line):
            part.append(_entry(page[1]))
    reference = [{"Python": "docs/api.md"}, {"For programs and agents": "AGENTS.md"}, {"Changes": "CHANGELOG.md"}]
    decided = [_entry(page[1]) for line in decisions.splitlines() if (page := LINE.fullmatch(line))]
    return [*sections, {"Reference": reference}, {"Decisions": decided}]


def _entry(link: str) -> dict[str, str]:
    """The title of a page that the index links to, and its place."""
    place = (REPOSITORY / "docs" / link).resolve()
    title = place.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return {title: str(place.relative_to(REPOSITORY))}


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def _toml(value: object) -> str:
    """A value in TOML, which writes lists as JSON does and mappings with `=`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
