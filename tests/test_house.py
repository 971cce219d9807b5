"""The order of the house: no circle of imports, modules and functions of a size that can be read, names that users rely on."""

import ast
import importlib
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from worked_examples import without_examples

import affect_data
import affect_train

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("affect_data", "affect_train")
MODULES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))

MOST_LINES_OF_A_MODULE = 420
MOST_LINES_OF_A_FUNCTION = 60
GOAL_OF_A_FUNCTION = 40

LONGER = {
    "affect_data/build/build.py:build",
}
"""Functions that are still longer; nothing may be added."""

PUBLIC = (
    "affect_data.action_unit",
    "affect_data.load_dataset",
    "affect_data.audit.base.Audit",
    "affect_data.audit.export.datalab_issues",
    "affect_data.audit.run.run_audits",
    "affect_data.balance.draw",
    "affect_data.balance.load_weights",
    "affect_data.faces.detection.FaceDetector",
    "affect_data.leaks.leaks.guard_dataset",
    "affect_data.statistics.statistics.statistics",
    "affect_train.hub.AffectImageProcessor",
    "affect_train.pipeline",
)
"""What users import."""

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
DOTTED = re.compile(r"\baffect_(?:data|train)(?:\.[A-Za-z_]\w*)+")
IMPORTED = re.compile(r"\bfrom (affect_(?:data|train)[\w.]*) import ([\w, ]+)")


def circle(*packages: str) -> list[str]:
    """Modules each of which imports the next, the last the first; type-checking imports and imports in functions count."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    try:
        TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def lines_of_functions() -> dict[str, int]:
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                key = f"{path.relative_to(REPOSITORY)}:{node.name}"
                found[key] = max(found.get(key, 0), node.end_lineno - node.lineno + 1)
    return found


def named(text: str) -> set[str]:
    """The dotted names of the packages that a document mentions or imports."""
    imported = {f"{module}.{name.strip()}" for module, names in IMPORTED.findall(text) for name in names.split(",")}
    return imported | set(DOTTED.findall(text))


def find(name: str) -> object:
    """What a dotted name stands for: a module, or something in one."""
    parts = name.split(".")
    found: object = importlib.import_module(parts[0])
    for end, part in enumerate(parts[1:], start=2):
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(".".join(parts[:end]))
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circle(*PACKAGES)
    assert not found, " imports ".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "import {package}.first",
        "def later() -> None:\n    import {package}.first",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {package}.first",
    ],
)
def test_a_circle_is_found_wherever_its_import_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    package = f"circular_{len(line)}"
    folder = tmp_path / package
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    modules = {"__init__": "", "first": f"import {package}.second", "second": f"import {package}.third"}
    for name, text in {**modules, "third": line.format(package=package)}.items():
        (folder / f"{name}.py").write_text(f"{text}\n")
    found = circle(package)
    assert found[0] == found[-1]
    start = found.index(f"{package}.first")
    assert [*found[start:-1], *found[:start]] == [f"{package}.{name}" for name in ("first", "second", "third")]


def test_modules_can_be_read_at_a_sitting() -> None:
    lines = {str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_MODULE} == {}


def test_functions_fit_on_a_screen() -> None:
    lines = lines_of_functions()
    print(f"{sum(count > GOAL_OF_A_FUNCTION for count in lines.values())} functions of more than {GOAL_OF_A_FUNCTION}")
    longer = {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION}
    assert {name: count for name, count in longer.items() if name not in LONGER} == {}
    assert sorted(LONGER - set(longer)) == [], "short by now, or gone: take it from the list"


def test_every_folder_says_what_lives_in_it() -> None:
    folders = sorted({path.parent for path in MODULES})
    silent = [
        str(folder.relative_to(REPOSITORY))
        for folder in folders
        if not (folder / "__init__.py").is_file()
        or not ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("name", PUBLIC)
def test_what_users_import_stays(name: str) -> None:
    assert callable(find(name))


def test_the_packages_offer_what_they_list() -> None:
    assert affect_data.__all__ == ["action_unit", "class_name", "load_dataset", "to_polars"]
    assert affect_train.__all__ == ["pipeline"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_in_the_documentation_are_there(document: Path) -> None:
    for name in named(without_examples(document.read_text())):
        find(name)


def test_names_are_found_in_documents() -> None:
    text = "`affect_data.audit.base.Audit`\n    >>> from affect_data.balance import draw, load_weights\n"
    expected = {"affect_data.audit.base.Audit", "affect_data.balance.draw", "affect_data.balance.load_weights"}
    assert named(text) == {*expected, "affect_data.balance"}
    with pytest.raises(ModuleNotFoundError):
        find("affect_data.balance.drawn")
