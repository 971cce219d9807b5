"""The worked examples of docs/extending.md, run in a copy of the repository that has nothing else added."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from worked_examples import examples

REPOSITORY = Path(__file__).parents[1]
COPIED = ("affect_data", "affect_train", "docs", "recipes", "tests", "README.md", "pyproject.toml")


def section(title: str) -> str:
    """The text of one section of the page."""
    page = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def changed(text: str, difference: str) -> str:
    """A text with the lines added that a difference marks by ``+``, each after the last of the lines before it."""
    end = 0
    for line in difference.splitlines():
        if line.startswith("+"):
            text = f"{text[:end]}{line[1:]}\n{text[end:]}"
            end += len(line)
        else:
            start = text.index(f"{line[1:]}\n", end)
            end = start + len(line)
    return text


class Copy:
    """A copy of the repository with the blocks of a section written into it."""

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        for name in COPIED:
            source = REPOSITORY / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / name)
        self.paths = []
        for kind, path, text in examples(section(title)):
            file = folder / path
            assert file.exists() == (kind == "diff"), path
            file.write_text(changed(file.read_text(), text) if kind == "diff" else text, encoding="utf-8")
            self.paths.append(path)

    def python(self, *words: str) -> str:
        """What ``python WORDS`` prints in the copy; it must end well."""
        found = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    def passes(self, *words: str) -> int:
        """How many tests pass, of a call of pytest in which none fails."""
        return int(re.search(r"(\d+) passed", self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *words))[1])

    def keeps_the_style(self) -> None:
        self.python("-m", "ruff", "check", "--no-cache", *self.paths)
        self.python("-m", "ruff", "format", "--no-cache", "--check", *self.paths)


@pytest.mark.slow
def test_a_database_takes_its_reader_its_generator_and_a_place_in_the_registry(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "A database")
    assert len(copy.paths) == 4
    copy.keeps_the_style()
    copy.python("-m", "affect_data.databases.pages")
    tests = "tests/affect_data"
    whole = ("databases/test_catalogue.py", "databases/test_pages.py", "build/test_recipe.py")
    some = ("databases/test_conformance.py", "databases/test_gallery.py", "cli/test_cli.py", "demo/test_world.py")
    names = " or ".join(("gallery", "databases or usual", *(Path(path).name for path in whole)))
    assert copy.passes(*(f"{tests}/{path}" for path in (*whole, *some)), "-k", names) > 27 + 50 + 3
    assert "Gallery (gallery)" in copy.python("-m", "affect_data", "databases", "gallery")
    copy.python("-m", "affect_data", "demo", "world", "--databases", "gallery", "--faces", "30")
    (tmp_path / "recipe.yaml").write_text("databases: {gallery: {holdout: 0.2}}\n")
    copy.python("-m", "affect_data", "build", "recipe.yaml", "merged", "--root", "gallery=world/gallery")
    assert "gallery" in copy.python("-m", "affect_data", "stats", "merged")


@pytest.mark.slow
def test_an_audit_takes_its_class_and_a_place_in_the_registry(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "An audit")
    assert len(copy.paths) == 3
    copy.keeps_the_style()
    copy.python("-m", "affect_data.audit.pages")
    tests = "tests/affect_data/audit"
    assert copy.passes(f"{tests}/checks/test_dropped_jaw.py") == 1
    assert copy.passes(f"{tests}/test_run_audits.py", "-k", "dropped_jaw or page or lists or unknown") == 5
    assert "dropped_jaw (review)" in copy.python("-m", "affect_data", "audit", "--list")


@pytest.mark.slow
def test_a_teacher_is_a_class_that_labels_a_dataset(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "A teacher")
    assert len(copy.paths) == 2
    copy.keeps_the_style()
    assert copy.passes("tests/affect_train/labelling/teachers/test_brightness.py") == 1
