"""Every command of training that is given a dataset of format 1 names the one that brings it to the present format, before it looks for a model."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from affect_train.cli.app import module_main

COMMANDS = (
    "RECIPE",
    "train RECIPE --dry-run",
    "label runs/none DATASET --name teacher",
    "features runs/none DATASET --name features",
    "evaluate runs/none DATASET",
    "evaluate runs/none DESCRIPTION",
    "compound runs/none DATASET",
    "cross-label RECIPE --folds 2 --name folds",
    "ensemble DATASET runs/none runs/other --name both",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_the_upgrade(
    recipe_values: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    dataset, recipe, description = tmp_path / "merged", tmp_path / "recipe.yaml", tmp_path / "faces.yaml"
    dataset.mkdir()
    (dataset / "dataset.json").write_text('{"format": "affectkit-dataset", "format_version": 1}')
    recipe.write_text(yaml.safe_dump(recipe_values(dataset=str(dataset))))
    description.write_text(yaml.safe_dump({"path": str(dataset)}))
    named = {"DATASET": dataset, "RECIPE": recipe, "DESCRIPTION": description}
    monkeypatch.setattr(sys, "argv", ["affect_train", *(str(named.get(word, word)) for word in command.split())])
    with pytest.raises(SystemExit) as ended:
        module_main()
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"Upgrade it with `affect-data upgrade {dataset}`" in printed.err
    assert [path.name for path in dataset.iterdir()] == ["dataset.json"]
