"""Writes docs/json-output.md, what programs may rely on: ``python -m affect_train.cli.pages``, run in the repository's root."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from affect_data.cli.documents import DOCUMENTS, Document
from affect_data.entry import UNEXPECTED
from affect_data.errors import code_of
from affect_data.recipe_reference import table_of
from affect_train.cli.documents import OWN

PAGE: Final = Path("docs/json-output.md")
PACKAGES: Final = ("affect_data", "affect_train")
ERROR_CLASS: Final = re.compile(r"^class \w+Error\(", re.MULTILINE)
ROOTS: Final = {"AffectError": 1, "DataError": 1, "UsageError": 2}

HEAD: Final = f"""\
# What commands answer to programs

With `--json` a command prints one JSON document on standard output; messages for people go to standard error. This page is generated from the
code (`make docs`). `affect-data schema --output build` and `affect-train schema --output train` print the same as JSON Schema, each for the commands
named here; `affect-train validate --json` prints a training recipe, whose schema is `affect-train schema`. Other commands print documents too, whose
keys are not promised yet.

## Errors

A command that fails prints this document, and ends with `exit_status`. A call that cannot be parsed (an unknown option) ends with 2 and prints none.
Codes never change; new ones may come. `{UNEXPECTED}` is a defect of affectkit.
"""


def json_page() -> str:
    """The page, as Markdown."""
    rows = [f"| `{code}` | {status} | {meaning} |" for code, (status, meaning) in sorted(error_codes().items())]
    parts = [HEAD, _table(DOCUMENTS["error"]), "\n".join(["| code | exit status | |", "|---|---|---|", *rows])]
    for program, documents in (("affect-data", DOCUMENTS), ("affect-train", OWN)):
        parts += [
            f"## {program} {command}\n\n{_table(found)}" for command, found in documents.items() if command != "error"
        ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def error_codes() -> dict[str, tuple[int, str]]:
    """The exit status and the meaning of each error that is raised on purpose, by code; read from the source, so that nothing is imported."""
    classes = {node.name: node for package in PACKAGES for node in _classes(Path(package))}
    found: dict[str, tuple[int, str]] = {}
    for name, node in classes.items():
        root = _root_of(name, classes)
        if root is not None:
            meaning = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
            found[code_of(name)] = (ROOTS[root], meaning)
    return found


def _classes(package: Path) -> Iterator[ast.ClassDef]:
    for file in sorted(package.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        # Parsing takes long, and few modules have errors.
        if ERROR_CLASS.search(text):
            yield from (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))


def _root_of(name: str, classes: Mapping[str, ast.ClassDef]) -> str | None:
    """Which of the families of errors a class belongs to; None if it is no error of ours."""
    while name not in ROOTS:
        bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)] if name in classes else []
        if not bases:
            return None
        name = bases[0]
    return name


def _table(document: type[Document]) -> str:
    return (
        table_of(document)
        .replace("| default |", "| if it is absent |")
        .replace("| must be given |", "| always there |")
    )


if __name__ == "__main__":
    PAGE.write_text(json_page(), encoding="utf-8")
