"""The README stays short, and what the pages link to or name exists."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from worked_examples import without_examples

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
SOURCES = sorted(path for package in ("affect_data", "affect_train") for path in (ROOT / package).rglob("*.py"))

WORDS = 900
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
DOTTED = re.compile(r"\b(?:affect_data|affect_train)(?:\.[A-Za-z_]\w*)+")
PATH = re.compile(r"(?<![\w./{}-])(?:affect_data|affect_train|tests|benchmarks|recipes|docs)/[\w./-]*\w")
PAGE_OF_DOCS = re.compile(r"\bdocs/[\w/-]+\.md")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        shown = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        repeats = sum(other == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", other) is not None for other in found)
        found.add(f"{slug}-{repeats}" if repeats else slug)
    return found


def is_known(dotted: str) -> bool:
    """Whether a module, or a name in one, is what the dotted name says."""
    parts = dotted.split(".")
    module: ModuleType = importlib.import_module(parts[0])
    for index in range(2, len(parts) + 1):
        name = ".".join(parts[:index])
        if hasattr(module, "__path__") and importlib.util.find_spec(name) is not None:
            module = importlib.import_module(name)
        else:
            value: object = module
            for attribute in parts[index - 1 :]:
                if not hasattr(value, attribute):
                    return False
                value = getattr(value, attribute)
            return True
    return True


def is_placeholder(path: str) -> bool:
    """Whether a part of a path stands for something, as in ``recipes/PAPER/study.yaml``."""
    return any(part.isupper() for part in path.split("/"))


def test_the_readme_is_short() -> None:
    words = len((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert words <= WORDS, f"README.md has {words} words, {WORDS} at most: move what one user needs into docs"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    text = CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    broken = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken, f"{page.name}: links that lead nowhere: {', '.join(broken)}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_names_in_the_packages_exists(page: Path) -> None:
    names = set(DOTTED.findall(without_examples(page.read_text(encoding="utf-8"))))
    unknown = sorted(name for name in names if not is_known(name))
    assert not unknown, f"{page.name}: not in the packages: {', '.join(unknown)}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = without_examples(page.read_text(encoding="utf-8"))
    paths = {path for path in PATH.findall(text) if not is_placeholder(path)}
    missing = sorted(path for path in paths if not (ROOT / path).exists())
    assert not missing, f"{page.name}: no such file: {', '.join(missing)}"


def test_pages_that_messages_and_docstrings_name_exist() -> None:
    named = {(page, source) for source in SOURCES for page in PAGE_OF_DOCS.findall(source.read_text(encoding="utf-8"))}
    assert named
    missing = sorted(f"{source.relative_to(ROOT)}: {page}" for page, source in named if not (ROOT / page).exists())
    assert not missing, f"pages that do not exist: {', '.join(missing)}"


@pytest.mark.parametrize("folder", ["docs", "docs/experiments"])
def test_the_index_has_a_line_for_every_page(folder: str) -> None:
    index = ROOT / folder / "README.md"
    listed = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    pages = set((ROOT / folder).glob("*.md")) - {index}
    if folder == "docs":
        pages |= {*(ROOT / "docs" / "decisions").glob("*.md"), ROOT / "docs" / "experiments" / "README.md"}
    missing = sorted(page.relative_to(ROOT).as_posix() for page in pages if page.resolve() not in listed)
    assert not missing, f"{folder}/README.md has no line for {', '.join(missing)}"


def test_the_order_for_programs_names_commands_that_answer_with_json() -> None:
    from typer.main import get_command

    from affect_data.cli.app import app as data
    from affect_train.cli.app import app as train

    text = (ROOT / "AGENTS.md").read_text(encoding="utf-8")
    named = re.findall(r"^    affect-(data|train) (\S+)", text, re.MULTILINE)
    assert len(named) == 7
    for package, name in named:
        command = get_command(data if package == "data" else train).commands[name]
        assert "--json" in {option for parameter in command.params for option in parameter.opts}, name
