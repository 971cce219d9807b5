import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from affect_train.cli.app import COMMANDS, app, main_with_recipe, module_main
from affect_train.cli.tables import describe_evaluation, describe_prediction

Values = Callable[..., dict[str, Any]]
Command = Callable[..., tuple[int, str, str]]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


@pytest.fixture
def recipe_file(recipe_values: Values, tmp_path: Path) -> Callable[..., Path]:
    def write(**sections: Any) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe_values(**sections)))
        return path

    return write


@pytest.fixture
def affect_train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line as ``python -m affect_train`` does; gives exit status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["affect_train", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            module_main()
        return (ended.value.code or 0, *capsys.readouterr())

    return run


def test_a_first_argument_that_is_no_command_is_a_recipe_to_train() -> None:
    assert main_with_recipe(["teacher.yaml", "seed=1"]) == ["train", "teacher.yaml", "seed=1"]
    assert main_with_recipe(["--dry-run", "teacher.yaml"]) == ["train", "--dry-run", "teacher.yaml"]
    assert main_with_recipe(["evaluate", "run", "merged"]) == ["evaluate", "run", "merged"]
    assert main_with_recipe(["--help"]) == ["--help"]
    assert main_with_recipe([]) == []
    single = {command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    assert single | {group.name for group in app.registered_groups} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert "Example: " in shown.stdout
    assert "--json" in shown.stdout


def test_help_does_not_import_torch() -> None:
    code = "import sys; sys.argv = ['affect-train', '--help']\nfrom affect_train.cli.app import app\n"
    code += "app(standalone_mode=False)\nsys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=ENVIRONMENT).returncode == 0
    )


def test_training_labelling_evaluating_and_predicting_speak_json_on_stdout_alone(
    affect_train: Command, recipe_file: Callable[..., Path], own_dataset: Path, tmp_path: Path, world: SimpleNamespace
) -> None:
    recipe, run, picture = recipe_file(dataset=str(own_dataset)), tmp_path / "run", tmp_path / "face.png"
    picture.write_bytes(world.face_bytes(1))
    status, out, log = affect_train(recipe, "training.max_steps=1", "--json")
    assert (status, json.loads(out)["steps"]) == (0, 1)
    assert "1 process(es) on cpu" in log
    status, out, log = affect_train("label", run, own_dataset, "--name", "teacher", "--json")
    assert (status, json.loads(out)["rows"]) == (0, {"train": 16, "validation": 9})
    status, out, _ = affect_train("evaluate", run, own_dataset, "--split", "validation", "--json")
    assert (status, json.loads(out)["splits"]["validation"]["rows"]) == (0, 9)
    status, out, _ = affect_train("predict", run, picture, picture, "--crop", "as-is", "--json")
    assert (status, [entry["image"] for entry in json.loads(out)]) == (0, [str(picture)] * 2)


def test_people_get_text(
    affect_train: Command, recipe_file: Callable[..., Path], own_dataset: Path, tmp_path: Path, world: SimpleNamespace
) -> None:
    recipe, run, picture = recipe_file(dataset=str(own_dataset)), tmp_path / "run", tmp_path / "face.png"
    picture.write_bytes(world.face_bytes(1))
    assert affect_train(recipe, "--dry-run")[1].startswith("everything fits: one of 2 steps ran, losses ")
    assert f"; model: {run / 'model'}" in affect_train(recipe)[1]
    assert "by `soft_labels: [teacher]`" in affect_train("label", run, own_dataset, "--name", "teacher")[1]
    assert affect_train("evaluate", run, own_dataset)[1].startswith("validation: 9 rows\nmetric")
    assert affect_train("predict", run, picture, "--crop", "as-is")[1].startswith(f"{picture}: action units: ")


def test_errors_are_a_line_on_stderr_and_an_exit_status(
    affect_train: Command, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    status, out, log = affect_train(recipe_file(dataset=str(tmp_path / "nowhere")))
    assert (status, out) == (1, "")
    assert log.startswith(
        f"error: '{tmp_path / 'nowhere'}' is no affectkit dataset: the folder does not exist. Build it with"
    )
    status, out, log = affect_train("predict", tmp_path, "none.jpg")
    assert (status, out) == (1, "")
    assert "is no affect_train model" in log
    assert affect_train("train", tmp_path / "none.yaml")[0] == 2
    assert affect_train("label", tmp_path)[0] == 2


def test_validating_lists_every_mistake_and_ends_with_2(
    affect_train: Command, recipe_file: Callable[..., Path]
) -> None:
    status, out, log = affect_train("validate", recipe_file(seed=-1, batches={"sise": 4}), "training.epochs=0")
    assert (status, out) == (2, "")
    assert "3 mistake(s):" in log
    for key in ("seed", "batches.sise", "training.epochs"):
        assert key in log


def test_validating_tells_what_a_method_cannot_do_before_anything_is_loaded(
    affect_train: Command, recipe_file: Callable[..., Path]
) -> None:
    training = {"accumulation": 2, "mixed_precision": "fp16", "compile": "inductor"}
    recipe = recipe_file(dataset="nowhere", method={"name": "meta_auxiliary"}, training=training)
    status, out, log = affect_train("validate", recipe, "tasks.expression=null")
    assert (status, out) == (2, "")
    assert "4 mistake(s):" in log
    for key in ("training.accumulation", "training.mixed_precision", "training.compile", "tasks.expression"):
        assert f"{key}: " in log


def test_validating_a_sound_recipe_prints_it_resolved(recipe_file: Callable[..., Path]) -> None:
    shown = CliRunner().invoke(app, ["validate", str(recipe_file()), "seed=7"])
    assert shown.exit_code == 0
    assert yaml.safe_load(shown.stdout)["seed"] == 7
    as_json = CliRunner().invoke(app, ["validate", str(recipe_file()), "--json"])
    assert json.loads(as_json.stdout)["optimizer"]["name"] == "adamw"


def test_an_evaluation_is_shown_as_tables() -> None:
    metrics = {
        "au": {
            "mean_f1": 0.5,
            "accuracy": 0.75,
            "labels": 1200,
            "by_action_unit": {
                "12": {"f1": 0.5, "average_precision": 0.4, "auroc": 0.9, "present": 30, "labels": 1200}
            },
        },
        "expression": {
            "macro_f1": None,
            "accuracy": None,
            "labels": 4,
            "by_class": {"fear": {"f1": None, "labels": 0}},
        },
        "va": {"valence_ccc": 0.25, "arousal_ccc": 0.125, "labels": 7},
        "abaw": {"va": 0.1875},
        "score": 0.3,
    }
    other = {**metrics, "va": {**metrics["va"], "valence_ccc": -0.5}}
    text = describe_evaluation(
        "validation", {"rows": 2000, "overall": metrics, "databases": {"disfa": metrics, "expw": other}}
    )
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["validation:", "2,000", "rows"]
    assert ["metric", "all", "disfa", "expw"] in rows
    assert ["AU", "labels", "1,200", "1,200", "1,200"] in rows
    assert ["valence", "CCC", "0.250", "0.250", "-0.500"] in rows
    assert ["expression", "macro", "F1", "-", "-", "-"] in rows
    assert ["action", "unit,", "expw", "F1", "AP", "AUROC", "ECE", "present", "labels"] in rows
    assert rows.count(["AU12", "0.500", "0.400", "0.900", "-", "30", "1,200"]) == 3
    assert ["fear", "-", "0"] in rows


def test_tuned_thresholds_and_intervals_are_shown_beside_the_values() -> None:
    unit = {"f1": 0.5, "threshold": 0.125, "present": 30, "labels": 1200}
    half = {"mean_f1": 0.25, "by_action_unit": {"12": {**unit, "f1": 0.25, "threshold": 0.5}}}
    metrics = {
        "au": {"mean_f1": 0.5, "accuracy": 0.75, "labels": 1200, "by_action_unit": {"12": unit}, "at_half": half},
        "va": {"valence_ccc": 0.25, "arousal_ccc": 0.1, "labels": 7, "per_track": {"valence_ccc": -0.125}},
        "abaw": {},
        "intervals": {
            "level": 0.95,
            "resamples": 1000,
            "clusters": {"subject": 12, "track": 3, "row": 0},
            "metrics": {"au.mean_f1": [0.4, 0.6], "au.by_action_unit.12.f1": [0.3, 0.7], "va.valence_ccc": None},
        },
    }
    lines = describe_evaluation("test", {"rows": 9, "overall": metrics, "databases": {"disfa": metrics}}).splitlines()
    rows = [line.split() for line in lines]
    assert ["AU", "mean", "F1", "0.500", "[0.400,", "0.600]"] in rows
    assert ["AU", "mean", "F1", "at", "0.5", "0.250"] in rows
    assert ["valence", "CCC", "0.250"] in rows
    assert ["valence", "CCC", "per", "video", "-0.125"] in rows
    assert "[95% intervals: 1,000 resamples of 12 subjects, 3 tracks]" in lines
    header = ["action", "unit", "F1", "threshold", "F1", "at", "0.5", "AP", "AUROC", "ECE", "present", "labels"]
    assert header in rows
    assert ["AU12", "0.500", "[0.300,", "0.700]", "0.125", "0.250", "-", "-", "-", "30", "1,200"] in rows


def test_evaluating_with_intervals_and_tuned_thresholds_on_the_command_line(
    affect_train: Command, recipe_file: Callable[..., Path], own_dataset: Path, tmp_path: Path
) -> None:
    affect_train(recipe_file(dataset=str(own_dataset)), "training.max_steps=1")
    arguments = ("evaluate", tmp_path / "run", own_dataset, "--bootstrap", "20", "--tune-thresholds")
    status, out, _ = affect_train(*arguments, "train", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["splits"]["validation"]["overall"]["intervals"]["resamples"] == 20
    assert report["thresholds_from"]["split"] == "train"
    status, _, log = affect_train(*arguments, "validation")
    assert status == 2
    assert "tune on another split" in log.replace("\n", " ")
    for text in ("jaa", "jaa:", ":0", "jaa:one"):
        status, _, log = affect_train("evaluate", tmp_path / "run", own_dataset, "--fold", text)
        assert status == 2
        assert f"--fold: found '{text}'; expected NAME:NUMBER, such as jaa:0" in log.replace("\n", " ")


def test_a_prediction_is_shown_in_a_line() -> None:
    result = {
        "image": "face.jpg",
        "action_units": {
            "AU1": {"probability": 0.2, "threshold": 0.5, "present": False},
            "AU12": {"probability": 0.9, "threshold": 0.5, "present": True},
        },
        "expression": "happiness",
        "expression_probabilities": {"happiness": 0.8, "fear": 0.2},
        "valence": 0.5,
        "arousal": -0.25,
    }
    assert (
        describe_prediction(result)
        == "face.jpg: action units: AU12 0.90; expression: happiness 0.80; valence +0.50, arousal -0.25"
    )
