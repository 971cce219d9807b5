"""The comparison of two members on a dataset, from the command to the table."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from typer.testing import CliRunner

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.base import StaleGroupError
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.soft_labels import write_soft_labels
from affect_data.errors import DataError, UnknownNameError
from affect_train.cli.app import app
from affect_train.cli.documents import CompareDocument
from affect_train.errors import ModelMismatchError
from affect_train.inputs.labels import load_labels
from affect_train.study.compare import compare
from affect_train.tasks import TaskSet

CLASSES = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
ROWS = 120


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """120 rows of 30 people in two databases, and soft labels: of one that knows, of one that guesses, and of one of other tasks."""
    folder = tmp_path_factory.mktemp("compare") / "merged"
    splits = {"train": [(number, world.all) for number in range(ROWS)]}
    splits["validation"] = [(number, world.all) for number in range(200, 204)]
    path = Path(world.write_dataset(folder, splits, edit=lambda row: {**row, "subject": f"s{row['source_line'] // 4}"}))
    for name, strength in (("knows", 4.0), ("guesses", 0.0)):
        write(path, name, strength)
    write(path, "other", 0.0, action_units=(2, 4))
    return path


def write(path: Path, name: str, strength: float, action_units: tuple[int, ...] = ()) -> None:
    folder, rng = open_dataset(path), np.random.default_rng(len(name))
    values = {}
    for split in folder.splits:
        labels = load_labels(folder, split, TaskSet(expressions=CLASSES))[1]
        known = np.eye(7)[np.maximum(labels.expression, 0)] * strength
        head = "au" if action_units else "expression"
        width = len(action_units) or 7
        values[split] = {head: (known[:, :width] + rng.normal(size=(len(known), width))).astype(np.float16)}
    provenance = SoftLabelProvenance(
        name=name,
        teacher_id=name,
        teacher_revision=name,
        made_from=SOFT_LABELS.made_from(folder),
        view="v",
        action_units=action_units,
        expressions=() if action_units else CLASSES,
        out_of_fold=False,
    )
    write_soft_labels(path, provenance, values)


def test_soft_labels_are_compared_row_by_row_over_all_rows_and_each_database(data: Path) -> None:
    result = compare("soft:knows", "soft:guesses", data, "train", resamples=200)

    assert result is not None
    lines = {(line["group"], line["metric"]): line for line in result["differences"]}
    labels = load_labels(open_dataset(data), "train", TaskSet(expressions=CLASSES))[1]
    stored = open_dataset(data).load("train", [SOFT_LABELS.group("knows")])
    predicted = np.array(stored["soft.knows.expression"][:]).argmax(axis=1)
    line = lines["all", "expression.accuracy"]
    assert line["first"] == pytest.approx(accuracy_score(labels.expression, predicted))
    assert (line["verdict"], line["people"]) == ("first", result["people"]["subject"])
    assert {group for group, _ in lines} == {"all", "affwild2", "expw"}
    even = np.arange(ROWS) % 2 == 0
    expected = accuracy_score(labels.expression[even], predicted[even])
    assert lines["affwild2", "expression.accuracy"]["first"] == pytest.approx(expected)


def test_the_command_shows_a_table_a_plot_and_json(data: Path, tmp_path: Path) -> None:
    words = ["compare", "soft:knows", "soft:guesses", str(data), "--split", "train", "--bootstrap", "100"]

    shown = CliRunner().invoke(app, [*words, "--plot", str(tmp_path / "d.svg"), "--output", str(tmp_path / "d.json")])

    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0][:2] == ["group", "metric"]
    assert rows[1][:3] == ["all", "expression", "macro_f1"]
    assert rows[1][-3:] == ["A", "is", "better"]
    document = json.loads((tmp_path / "d.json").read_text())
    assert document["rows"] == ROWS
    drawing = (tmp_path / "d.svg").read_text()
    assert drawing.startswith("<svg xmlns=")
    assert drawing.count("<circle") == len(document["differences"])
    printed = CliRunner().invoke(app, [*words, "--json"]).stdout
    assert json.loads(printed) == document
    CompareDocument.model_validate_json(printed)


def test_members_that_cannot_be_compared_are_refused(data: Path) -> None:
    with pytest.raises(ModelMismatchError, match="no task in common"):
        compare("soft:knows", "soft:other", data, "train")
    with pytest.raises(UnknownNameError, match="'nobody'; known: guesses, knows, other"):
        compare("soft:knows", "soft:nobody", data, "train")
    with pytest.raises(DataError, match=r"split validation: found 3 people .*compare on a split of 5 at least"):
        compare("soft:knows", "soft:guesses", data, "validation")


def test_soft_labels_of_other_rows_are_refused(
    tmp_path: Path, world: SimpleNamespace, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(world.write_dataset(tmp_path / "merged", {"train": [(number, world.all) for number in range(8)]}))
    others = SOFT_LABELS.made_from(open_dataset(data))
    with monkeypatch.context() as patched:
        patched.setattr(type(SOFT_LABELS), "made_from", lambda self, folder: others)
        write(path, "knows", 1.0)
    with pytest.raises(StaleGroupError):
        compare("soft:knows", "soft:knows", path, "train")
