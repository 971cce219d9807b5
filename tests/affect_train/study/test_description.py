"""A study file: its commands as a user would type them, and every mistake at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from affect_data.errors import RecipeError, UsageError
from affect_train.study import read_study

VALUES: dict[str, Any] = {
    "title": "Small",
    "seeds": [3, 4],
    "variables": {"faces": 100, "extra": "", "small": "a={run}/x faces={faces}"},
    "shared": {"pretraining": {"run": "affect-data demo {shared}/databases --faces {faces}"}},
    "steps": {
        "databases": {"run": "affect-data demo {run}/databases --seed {seed} --faces {faces}"},
        "student": {"run": "affect-train train {recipes}/s.yaml {small} output={run}/s{each}", "each": [1, 2]},
        "more": {"run": "affect-data stats {run}/more", "needs": "extra"},
    },
    "scores": {"student": {"run": "affect-train evaluate {run}/s1 '{run}/the truth'"}, "teacher": {"run": "affect-train evaluate t d"}},
    "metrics": {"F1": "splits.validation.overall.au.mean_f1"},
    "claims": [{"claim": "it learns", "better": "student", "than": "teacher"}],
}  # fmt: skip


def written(path: Path, **changes: Any) -> Path:
    file = path / "study.yaml"
    file.write_text(yaml.safe_dump({**VALUES, **changes}, sort_keys=False), encoding="utf-8")
    return file


def test_commands_are_filled_in_for_a_seed_and_scores_come_last_as_json(tmp_path: Path) -> None:
    study = read_study(written(tmp_path))
    commands = study.commands(Path("out"), Path("recipes/x"), 3)
    assert [(command.label, " ".join(command.words)) for command in commands] == [
        ("databases", "affect-data demo out/seed3/databases --seed 3 --faces 100"),
        ("student-1", "affect-train train recipes/x/s.yaml a=out/seed3/x faces=100 output=out/seed3/s1"),
        ("student-2", "affect-train train recipes/x/s.yaml a=out/seed3/x faces=100 output=out/seed3/s2"),
        ("score-student", "affect-train evaluate out/seed3/s1 out/seed3/the truth --json"),
        ("score-teacher", "affect-train evaluate t d --json"),
    ]
    assert commands[3].words[3] == "out/seed3/the truth"
    shared = study.shared_commands(Path("out"), Path("recipes/x"))
    assert [" ".join(command.words) for command in shared] == ["affect-data demo out/shared/databases --faces 100"]


def test_variables_and_seeds_can_be_set_and_a_step_can_hang_on_one(tmp_path: Path) -> None:
    study = read_study(written(tmp_path), ["faces=7", "extra=yes", "seeds=[9]"])
    assert study.seeds == (9,)
    lines = [" ".join(command.words) for command in study.commands(Path("o"), Path("r"), 9)]
    assert lines[0].endswith("--faces 7")
    assert "affect-data stats o/seed9/more" in lines


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({}, ["face=3"], r"command line: the study has no variable 'face'; did you mean 'faces'\?"),
        ({"seeds": []}, [], r"study\.yaml:\d+: seeds: found \[\]; expected 1 or more"),
        ({"steps": {"a": {"run": "rm -rf {run}"}}}, [], r"study\.yaml:\d+: steps\.a: found 'rm -rf \{run\}'; expected a command of affect-data"),
        ({"steps": {"a": {"run": "affect-data demo 'x"}}}, [], r"steps\.a: found .*; not readable as a command: No closing quotation"),
        ({"variables": 3}, ["faces=4"], r"the study has no variable 'faces'"),
        ({"steps": {"a": {"run": "affect-data demo {rum}"}}}, [], r"steps\.a: rum is no variable; known: extra, faces"),
        ({"steps": {"a": {"run": "affect-data demo x", "each": [1]}}}, [], r"does not say \{each\}"),
        ({"shared": {"a": {"run": "affect-data demo {run}"}}}, [], r"shared\.a: run is no variable"),
        ({"claims": [{"claim": "c", "better": "teachr", "than": "teacher"}]}, [], r"\[0\]: no score is named 'teachr'; did you mean 'teacher'\?"),
        ({"claims": [{"claim": "c", "better": "teacher", "above": 1.0, "metrics": ["F2"]}]}, [], r"no metric is named 'F2'; known: F1"),
        ({"claims": [{"claim": "c", "better": "teacher"}]}, [], r"give one of `than` \(a score\) and `above`"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, Any], overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_study(written(tmp_path, **changes), overrides)


def test_all_mistakes_between_the_parts_come_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, steps={"a": {"run": "ls"}, "b": {"run": "affect-data demo {nothing}"}})
    with pytest.raises(RecipeError, match=r"2 mistake\(s\):\n.*steps\.a.*\n.*steps\.b"):
        read_study(file)


def test_mistakes_of_the_parts_and_between_them_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read_study(written(tmp_path, steps={"a": {"run": "ls"}}, seeds=["one"]))
    assert len(caught.value.mistakes) == 2


def test_a_file_that_is_not_there_is_the_fault_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"study '.*none\.yaml' does not exist"):
        read_study(tmp_path / "none.yaml")


def test_a_training_recipe_is_no_study(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("tasks: {}\nmodel: {}\n")
    with pytest.raises(RecipeError, match=r"study\.yaml:1: tasks: found the key of a training recipe"):
        read_study(file)
