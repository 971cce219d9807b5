"""A trained model at another prior: what evaluation, labels and predictions then say."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_runs import fresh_accelerator
from typer.testing import CliRunner

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.errors import UsageError
from affect_train.cli.app import app
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference.inference import logits_of, open_model
from affect_train.inference.target_prior import TargetPrior
from affect_train.labelling.label import label
from affect_train.recipe.recipe import recipe_from
from affect_train.training.loop import train

# The training rows of the tiny dataset: expressions are number % 7 of rows 1, 5, 9 ..., action units are 0 or 1 of rows 0, 3, 4, 7 ...
EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, dataset: Path, world: SimpleNamespace) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    values = {
        "dataset": str(dataset),
        "output": str(folder),
        "tasks": {"action_units": [1, 12], "expression": list(EXPRESSIONS)},
        "model": {"backbone": world.tiny_vit, "image_size": 32},
        "batches": {"size": 8},
        "training": {"epochs": 1, "validation_split": None},
    }
    train(recipe_from(values))
    fresh_accelerator()
    return folder


def logits(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    pixels = torch.arange(3 * 32 * 32, dtype=torch.uint8).reshape(1, 3, 32, 32)
    with torch.no_grad():
        return logits_of(model(pixels))


def test_a_run_keeps_how_often_its_labels_were(run: Path) -> None:
    rates = open_model(run / "model")[0].config.label_rates
    counts = np.bincount([number % 7 for number in range(1, 40, 4)], minlength=7) + 1
    assert rates["expression"] == pytest.approx((counts / counts.sum()).tolist())
    labelled = [number for number in range(40) if number % 4 in (0, 3)]
    assert rates["au"] == pytest.approx([(sum(number // part % 2 for number in labelled) + 1) / 22 for part in (1, 2)])


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_logits_move_by_the_difference_of_the_priors(run: Path, tmp_path: Path, strength: float) -> None:
    file = tmp_path / "clinic.yaml"
    file.write_text(
        "expression: {neutral: 0.4, anger: 0.1, disgust: 0.1, fear: 0.1, happiness: 0.1, sadness: 0.1, surprise: 0.1}"
    )
    model, _ = open_model(run / "model")
    moved, _ = open_model(run / "model", TargetPrior(str(file), strength))
    shares = torch.tensor(model.config.label_rates["expression"])
    target = torch.tensor([0.4, *[0.1] * 6])
    before, after = logits(model), logits(moved)
    expected = before["expression"] - strength * (shares.log() - target.log())
    assert torch.allclose(after["expression"], expected, atol=1e-5)
    assert torch.equal(after["au"], before["au"])


def test_moved_action_units_have_the_usual_threshold_and_the_files_stay_as_they_are(run: Path) -> None:
    model, _ = open_model(run / "model")
    model.config.thresholds = [0.2, 0.9]
    before = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    moved, _ = open_model(run / "model", TargetPrior("uniform"))
    rates = torch.tensor(model.config.label_rates["au"])
    assert torch.allclose(logits(moved)["au"], logits(model)["au"] - rates.logit(), atol=1e-5)
    assert moved.config.thresholds == [0.5, 0.5]
    assert before == {path.name: path.read_bytes() for path in (run / "model").iterdir()}


def test_soft_labels_at_another_prior_say_so_and_are_those_of_another_teacher(run: Path, own_dataset: Path) -> None:
    label(run, own_dataset, "plain")
    fresh_accelerator()
    label(run, own_dataset, "moved", target=TargetPrior("uniform", 0.5))
    folder = open_dataset(own_dataset)
    plain, moved = (SOFT_LABELS.read(folder, name) for name in ("plain", "moved"))
    assert plain.teacher_revision != moved.teacher_revision
    assert 'logits moved to the prior {"prior": "uniform", "strength": 0.5}' in moved.view
    rows = [folder.load("train", [SOFT_LABELS.group(name)]) for name in ("plain", "moved")]
    one, other = (
        np.array(part[SOFT_LABELS.column(name, "expression")][:], dtype=np.float32)
        for part, name in zip(rows, ("plain", "moved"), strict=True)
    )
    shares = np.array(open_model(run / "model")[0].config.label_rates["expression"])
    assert other - one == pytest.approx(np.tile(-0.5 * np.log(shares * 7), (len(one), 1)), abs=0.02)


def test_an_evaluation_says_to_which_prior_the_model_was_moved(run: Path, dataset: Path, tmp_path: Path) -> None:
    told = evaluate(run, dataset, ["validation"], output=tmp_path / "moved.json", target=TargetPrior("uniform"))
    assert told is not None
    assert told["target_prior"] == {"prior": "uniform", "strength": 1.0}
    with pytest.raises(UsageError, match="a tuned threshold undoes what the prior moves; give one of them"):
        evaluate(run, dataset, ["validation"], tune_thresholds="train", target=TargetPrior("uniform"))


def test_a_model_that_does_not_know_its_labels_is_refused(run: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(run / "model", older)
    config = json.loads((older / "config.json").read_text())
    del config["label_rates"]
    (older / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        UsageError, match=r"does not say how often its labels were among the training rows.*leave --prior out"
    ):
        open_model(older, TargetPrior("uniform"))


def test_the_command_line_reads_the_prior_before_anything_is_loaded(run: Path, dataset: Path, tmp_path: Path) -> None:
    def told(*words: str) -> str:
        return str(CliRunner().invoke(app, list(words)).exception)

    assert "found 'unifrom'; expected uniform, or a YAML file" in told(
        "evaluate", "nowhere", "nowhere", "--prior", "unifrom"
    )
    assert "name it by `--prior uniform`" in told(
        "label", "nowhere", "nowhere", "--name", "a", "--prior-strength", "0.5"
    )
    foreign = told("label", str(tmp_path), str(dataset), "--name", "a", "--prior", "uniform")
    assert "is no affect_train model" in foreign
