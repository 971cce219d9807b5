"""Runs compared face by face on the page, with models that were built, evaluated and stored."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from affect_data.errors import UsageError
from affect_train.cli.app import app
from affect_train.cli.documents import ReportDocument
from affect_train.evaluation.evaluate import evaluate
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.report.differences import face_by_face
from affect_train.report.runs import read_runs
from affect_train.run_folder import RunFolder
from affect_train.tasks import TaskSet

PEOPLE, ROWS = 6, 48


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """A folder with a dataset ``merged`` of six people, and the evaluated runs ``one`` and ``two`` of models with random weights."""
    folder = tmp_path_factory.mktemp("face_by_face")

    def edit(row: dict[str, object]) -> dict[str, object]:
        return {**row, "subject": f"s{int(str(row['source_line'])) % PEOPLE}"}

    world.write_dataset(folder / "merged", {"train": [(number, world.all) for number in range(ROWS)]}, edit=edit)
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        preprocessing = Preprocessing(32, margin=0.2)
        options = ModelOptions(backbone=world.tiny_vit, image_size=32)
        tasks = TaskSet((1, 12), ("neutral", "anger", "disgust"), 5)
        model = AffectModel.build(tasks, options, preprocessing.to_dict(), preprocessing.digest())
        with torch.no_grad():
            for head in model.heads.values():
                head[-1].weight.mul_(20)
        model.eval().save_pretrained(RunFolder(folder / name).model)
        RunFolder(folder / name).recipe.write_text("tasks: {}\nmodel: {}\n")
        evaluate(folder / name, folder / "merged", ["train"], bootstrap=100)
    return folder


def test_both_models_are_compared_on_the_same_faces_and_the_page_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    printed = CliRunner().invoke(app, ["report", "one", "two", "--dataset", "merged", "--bootstrap", "100", "--json"])
    ReportDocument.model_validate_json(printed.stdout)
    document = json.loads(printed.stdout)
    (compared,) = document["comparisons"]
    assert (compared["first"], compared["second"], compared["rows"]) == ("A", "B", ROWS)
    assert compared["people"] == {"subject": PEOPLE, "track": 0, "row": 0}
    # What is subtracted are the figures of the two evaluations, up to logits in half precision.
    own = {(score["run"], score["metric"]): score["value"] for score in document["scores"] if not score["database"]}
    lines = {line["metric"]: line for line in compared["differences"] if line["group"] == "all"}
    for metric in ("au.mean_f1", "expression.accuracy", "va.valence_ccc"):
        assert lines[metric]["difference"] == pytest.approx(own["A", metric] - own["B", metric], abs=2e-3)
    assert document["verdicts"][0]["what"].startswith("A against B on train, face by face: ")
    text = re.sub("<[^>]+>", " ", Path("report.html").read_text(encoding="utf-8"))
    assert "Differences face by face" in text
    assert f"A minus B on train: {ROWS} rows of {PEOPLE} subjects" in text


def test_another_dataset_or_a_single_run_cannot_be_compared(place: Path, dataset: Path) -> None:
    runs = read_runs([place / "one", place / "two"])
    with pytest.raises(UsageError, match="name the dataset of the evaluation"):
        face_by_face(runs, dataset, resamples=100, workers=0)
    with pytest.raises(UsageError, match="name two runs or more"):
        face_by_face(runs[:1], place / "merged", resamples=100, workers=0)
