"""Every study of the recipes runs from its first command to its claims, on a few faces and for a few steps."""

from pathlib import Path

import pytest

from affect_train.cli.app import run_command
from affect_train.study import Study, read_study, run_study

RECIPES = Path(__file__).parents[2] / "recipes"
STUDIES = sorted(RECIPES.glob("*/study.yaml"))
SMALL = {
    "faces": 240,
    "test_faces": 200,
    "few_faces": 200,
    "compound_faces": 150,
    "shots": 1,
    "steps": 2,
    "rising": 1,
    "pretraining_faces": 48,
    "pretraining_steps": 2,
    # Few faces show few action units.
    "imbalance": 0,
    "action_units": "1,2,4,12,25,26",
}
"""Variables that make a study quick, where it has them."""


def quick(path: Path) -> Study:
    known = read_study(path).variables
    return read_study(path, ["seeds=[0]", *(f"{name}={value}" for name, value in SMALL.items() if name in known)])


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_chains")
@pytest.mark.parametrize("path", STUDIES, ids=[path.parent.name for path in STUDIES])
def test_every_command_of_a_study_runs_and_every_claim_is_judged(
    path: Path, one_process_recipes: Path, tmp_path: Path
) -> None:
    study, folder = quick(path), one_process_recipes / path.parent.name
    result = run_study(study, folder, tmp_path, run_command)
    commands = [*study.shared_commands(tmp_path, folder), *study.commands(tmp_path, folder, seed=0)]
    assert {command.label for command in commands if command.words[1] == "train"}
    asked = {command.name for command in commands if command.is_score}
    for score in asked:
        assert any(figure is not None for figure in result["figures"][score]["0"].values()), score
    judged = {finding["claim"] for finding in result["findings"]}
    assert judged == {claim.claim for claim in study.claims if {claim.better, claim.than} - {None} <= asked}
