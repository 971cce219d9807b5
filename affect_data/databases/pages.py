"""Writes the facts about databases into ``docs/databases.md``, and their table into ``README.md``.

Run ``python -m affect_data.databases.pages`` in the repository's root.
"""

from pathlib import Path
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
    """A Markdown table of what is labelled, with the names of the databases in recipes; the order is that of the registry."""
    by_labels: dict[str, list[str]] = {}
    for name in BUILT_IN:
        by_labels.setdefault(labels_of(DATABASES[name]), []).append(f"[`{name}`](docs/databases.md#{name})")
    lines = ["| labels | databases, named as in recipes |", "|---|---|"]
    lines += [f"| {labels} | {', '.join(names)} |" for labels, names in by_labels.items()]
    return "\n".join(lines)


def labels_of(database: type[Database]) -> str:
    """The labels of a database in a few words, such as ``AU with intensity, pspi score``."""
    units, levels = set(database.action_units), set(database.action_unit_intensities)
    graded = "" if not levels else " with intensity" if levels >= units else f", {len(levels)} of them with intensity"
    labels = [
        f"AU{graded}{' with side' if database.action_unit_sides else ''}" if units or levels else "",
        f"expression{' with votes' if database.has_expression_votes else ''}" if database.expressions else "",
        "compound expression" if database.compound_expressions else "",
        "VA" if database.valence_arousal else "",
        *(f"{score} score" for score in database.scores if len(database.scores) == 1),
        f"{len(database.scores)} scores" if len(database.scores) > 1 else "",
        "people" if database.people else "",
    ]
    return ", ".join(label for label in labels if label)


def readme_page(page: str) -> str:
    """README with `databases_table` between the lines ``<!-- databases -->`` and ``<!-- /databases -->``."""
    return with_part(page, "databases", databases_table())


if __name__ == "__main__":
    PAGE.write_text(databases_page(), encoding="utf-8")
    README.write_text(readme_page(README.read_text(encoding="utf-8")), encoding="utf-8")
