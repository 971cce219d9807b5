"""Writes the facts about databases into ``docs/databases.md``, and their table into ``README.md``.

Run ``python -m affect_data.databases.pages`` in the repository's root.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from affect_data.databases.base import Database
from affect_data.databases.catalogue import catalogue, describe_database
from affect_data.databases.registry import BUILT_IN, DATABASES
from affect_data.databases.unread import UNREAD
from affect_data.pages import with_part

README: Final = Path("README.md")
PAGE: Final = Path("docs/databases.md")

POLICY: Final = """\
[Publishing](publishing.md#what-licences-allow) goes by this table. Where nothing was read, and for databases that affectkit does not know, only the
recipe may be published. What was read are secondary sources and copies of pages: no signed agreement was at hand. Yours decides."""
"""What stands above the table of licences."""

NOT_READ: Final = """\
A reader relies on files that somebody has seen, or on what the owners say of them. Of these databases neither is enough."""
"""What stands above the table of databases without a reader."""

LABELS: Final[Mapping[str, Callable[[type[Database]], bool]]] = MappingProxyType(
    {
        "AU": lambda database: bool(database.action_units),
        "AU intensity": lambda database: bool(database.action_unit_intensities),
        "AU side": lambda database: bool(database.action_unit_sides),
        "expression": lambda database: bool(database.expressions),
        "votes": lambda database: database.has_expression_votes,
        "compound expression": lambda database: bool(database.compound_expressions),
        "VA": lambda database: bool(database.valence_arousal),
        "people": lambda database: bool(database.people),
    }
)
"""Kinds of labels, and whether a database has them."""


def databases_page() -> str:
    """The page ``docs/databases.md``, as Markdown."""
    lines = [
        "# Databases",
        "",
        "What affectkit reads. This page is generated from the readers (`make docs`); `affect-data databases NAME` prints the same.",
        "",
        "| name | database | AU | intensity | expressions | VA | may publish |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| [`{entry['name']}`](#{entry['name']}) | {entry['title']} | {len(entry['action_units']) or '–'} | "
        f"{len(entry['action_unit_intensities']) or '–'} | {len(entry['expressions']) or '–'} | "
        f"{'yes' if entry['valence_arousal'] else '–'} | {entry['publishes']} |"
        for entry in catalogue(BUILT_IN)
    ]
    lines += [
        "",
        "## What may be published",
        "",
        POLICY,
        "",
        "| name | may publish | terms, in short | read |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {own.publishes} | [{own.terms}]({own.url}) | {own.reading} |"
        for name, own in sorted((name, DATABASES[name].licence) for name in BUILT_IN)
    ]
    lines += ["", "## Not read yet", "", NOT_READ, "", "| database | labels | not known |", "|---|---|---|"]
    lines += [f"| {own.title} | {own.labels} | {own.unknown} |" for own in UNREAD]
    for entry in catalogue(BUILT_IN):
        lines += ["", f"## {entry['name']}", "", "```text", describe_database(entry["name"]), "```"]
    return "\n".join(lines) + "\n"


def databases_table() -> str:
    """A Markdown table of kinds of labels, with the names in recipes of the databases that have them, in the order of the registry."""
    # Without blanks around the bars, which would count among the words of a README that is to stay short.
    lines = ["|labels|databases, named as in recipes|", "|---|---|"]
    for labels, has in LABELS.items():
        names = ", ".join(f"[`{name}`](docs/databases.md#{name})" for name in BUILT_IN if has(DATABASES[name]))
        lines.append(f"|{labels}|{names}|")
    return "\n".join(lines)


def readme_page(page: str) -> str:
    """README with `databases_table` between the lines ``<!-- databases -->`` and ``<!-- /databases -->``."""
    return with_part(page, "databases", databases_table())


if __name__ == "__main__":
    PAGE.write_text(databases_page(), encoding="utf-8")
    README.write_text(readme_page(README.read_text(encoding="utf-8")), encoding="utf-8")
