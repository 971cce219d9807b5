"""Imports run downward only, and the dataset toolkit starts without torch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def python(code: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_every_contract_is_kept() -> None:
    found = python(LINT)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("affect_data/dataset/folder.py", "import affect_train", "The dataset toolkit knows nothing of training"),
        ("affect_data/statistics/statistics.py", "import torch", "The dataset toolkit knows nothing of training"),
        ("affect_data/dataset/schema.py", "import affect_data.build.build", "affect_data imports downward"),
        ("affect_data/databases/base.py", "import affect_data.cli.app", "affect_data imports downward"),
        ("affect_train/recipe/section.py", "import affect_train.inputs.labels", "affect_train imports downward"),
    ],
)
def test_an_import_in_the_wrong_direction_breaks_a_contract(
    tmp_path: Path, module: str, line: str, contract: str
) -> None:
    for package in ("affect_data", "affect_train"):
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as target:
        target.write(f"\n{line}\n")
    found = python(LINT, tmp_path)
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"{contract} BROKEN" in found.stdout


@pytest.mark.parametrize(
    "module",
    [
        "affect_data",
        "affect_data.cli.app",
        "affect_data.build.build",
        "affect_data.dataset.folder",
        "affect_data.databases.registry",
    ],
)
def test_the_dataset_toolkit_is_imported_without_torch(module: str) -> None:
    found = python(
        f"import {module}, sys; print(sorted({{'torch', 'transformers', 'accelerate', 'affect_train'}} & set(sys.modules)))"
    )
    assert (found.returncode, found.stdout) == (0, "[]\n"), found.stderr


@pytest.mark.parametrize("module", ["affect_train.cli.app", "affect_train.recipe.recipe"])
def test_a_training_recipe_is_read_without_torch(module: str) -> None:
    found = python(f"import {module}, sys; print(sorted({{'torch', 'transformers', 'accelerate'}} & set(sys.modules)))")
    assert (found.returncode, found.stdout) == (0, "[]\n"), found.stderr
