"""What was made from the pictures of a dataset serves on when its labels are corrected."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affect_data.corrections.decisions import Decision, Labels
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.base import StaleGroupError
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.soft_labels import write_soft_labels
from affect_data.vocabulary import EXPRESSIONS
from affect_train.inputs.labels import load_labels
from affect_train.recipe.recipe import recipe_from
from affect_train.tasks import TaskSet
from affect_train.training.loop import train

CLASSES = EXPRESSIONS[:7]
ROW = 5


@pytest.fixture
def taught(own_dataset: Path) -> Path:
    """A dataset with the soft labels of a teacher."""
    folder = open_dataset(own_dataset)
    provenance = SoftLabelProvenance(
        name="teacher",
        teacher_id="runs/teacher",
        teacher_revision="0" * 8,
        made_from=SOFT_LABELS.made_from(folder),
        view="whole",
        expressions=CLASSES,
    )
    rng = np.random.default_rng(0)
    logits = {
        split: {"expression": rng.normal(size=(folder.rows(split), 7)).astype(np.float16)} for split in folder.splits
    }
    write_soft_labels(own_dataset, provenance, logits)
    return own_dataset


@pytest.fixture
def correct(taught: Path, tmp_path: Path, world: SimpleNamespace) -> Callable[[str], None]:
    """Gives a row another expression, as a reviewer does."""

    def decide(expression: str) -> None:
        row = world.label_row(ROW, ("expression",))
        decision = Decision(
            id="one",
            uid=row["uid"],
            split="train",
            image_digest=row["image_digest"],
            face=row["face"],
            database="expw",
            dataset=open_dataset(taught).fingerprint,
            action="correct",
            old=Labels(expression=EXPRESSIONS[row["expression"]]),
            new=Labels(expression=expression),
            who="reviewer",
            when="2026-01-01T00:00:00+00:00",
        )
        (tmp_path / "decisions.jsonl").write_text(decision.to_line() + "\n")
        apply_decisions(taught, tmp_path / "decisions.jsonl")

    return decide


def test_a_student_trains_on_corrected_labels_with_the_soft_labels_from_before(
    taught: Path, correct: Callable[[str], None], recipe_values: Callable[..., dict[str, Any]]
) -> None:
    tasks = TaskSet(expressions=CLASSES)
    _, before = load_labels(open_dataset(taught), "train", tasks, ("teacher",))
    correct("anger")
    _, after = load_labels(open_dataset(taught), "train", tasks, ("teacher",))
    assert CLASSES[before.expression[ROW]] != CLASSES[after.expression[ROW]] == "anger"
    others = np.arange(16) != ROW
    assert (before.expression[others] == after.expression[others]).all()
    soft = [labels.soft["teacher"].targets(np.array([ROW])).expression for labels in (before, after)]
    assert (soft[0] == soft[1]).all()
    values = recipe_values(
        dataset=str(taught), soft_labels=["teacher"], method={"name": "distillation"}, batches={"size": 8}
    )
    assert train(recipe_from(values)) is not None


def test_soft_labels_of_other_pictures_are_refused(taught: Path) -> None:
    manifest = json.loads((taught / "dataset.json").read_text())
    manifest["fingerprints"]["pictures"] = "0123456789abcdef"
    (taught / "dataset.json").write_text(json.dumps(manifest))
    said = (
        r"soft labels 'teacher' were made from other pictures than the dataset has now. "
        r"Make them again: `affect-train label RUN DATASET --name teacher`"
    )
    with pytest.raises(StaleGroupError, match=said):
        load_labels(open_dataset(taught), "train", TaskSet(expressions=CLASSES), ("teacher",))
