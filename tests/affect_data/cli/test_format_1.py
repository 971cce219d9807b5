"""Every command that is given a dataset of format 1 names the one that brings it to the present format."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

COMMANDS = (
    "stats DATASET",
    "stats DATASET --full --json",
    "balance DATASET deng2020_expression",
    "folds DATASET --name cv",
    "audit DATASET",
    "report DATASET",
    "review DATASET",
    "review apply decisions.jsonl DATASET",
    "review undo DATASET",
    "review changes DATASET",
    "reveal DATASET world out",
    "build RECIPE DATASET",
    "build RECIPE DATASET --overwrite",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_the_upgrade_and_changes_nothing(
    affect_data: Callable[..., CompletedProcess[str]], tmp_path: Path, command: str
) -> None:
    dataset, recipe = tmp_path / "merged", tmp_path / "data.yaml"
    dataset.mkdir()
    (dataset / "dataset.json").write_text('{"format": "affectkit-dataset", "format_version": 1}')
    recipe.write_text("databases: {expw: {root: expw}}")
    run = affect_data(*(str({"DATASET": dataset, "RECIPE": recipe}.get(word, word)) for word in command.split()))
    assert (run.returncode, run.stdout[:1]) == (1, "{" if "--json" in command else "")
    assert f"Upgrade it with `affect-data upgrade {dataset}`" in run.stderr
    assert [path.name for path in dataset.iterdir()] == ["dataset.json"]
