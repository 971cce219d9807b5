"""Labelling: range by range, from where a kill left it, once, and by teachers that have not seen the rows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from python_processes import kill_when

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.ranges import RowRange
from affect_data.dataset.soft_labels import SoftLabelWriter
from affect_data.errors import DataError, UsageError
from affect_train.inference import inference
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.preprocess import Preprocessing
from affect_train.labelling.label import RowBatches, label, label_with, provenance_of, rows_per_range
from affect_train.labelling.teachers import Teacher, TeacherLogits
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "INFERENCE_BATCH", 4)


class Brightness(Teacher):
    """Says what the mean of the red channel is; counts what it saw, and stops after so many batches."""

    def __init__(self, revision: str = "1", batches: int | None = None) -> None:
        tasks = TaskSet(action_units=(1,), expressions=("neutral", "anger"))
        super().__init__("brightness", revision, tasks, Preprocessing(16))
        self.left = batches
        self.seen = 0

    def logits(self, pixels: torch.Tensor) -> TeacherLogits:
        if self.left is not None:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
        self.seen += len(pixels)
        red = pixels[:, 0].float().mean(dim=(1, 2))[:, None] / 64
        return {"au": red, "expression": torch.cat([red, -red], dim=1)}


def stored(dataset: Path, name: str) -> dict[str, list[list[float]]]:
    return {
        f"{split}.{head}": load_dataset(dataset, split, [name])[f"soft.{name}.{head}"][:]
        for split in ("train", "validation")
        for head in ("au", "expression")
    }


def files(dataset: Path, name: str) -> dict[str, bytes]:
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for split in ("train", "validation")
        for path in sorted((dataset / split / f"soft.{name}").iterdir())
    }


def test_a_kill_costs_the_range_that_was_under_way_and_nothing_else(own_dataset: Path) -> None:
    folder = open_dataset(own_dataset)
    with pytest.raises(KeyboardInterrupt):
        label_with(Brightness(batches=3), folder, "teacher", Runtime.start())
    assert "soft.teacher" not in open_dataset(own_dataset).groups("train")
    assert (own_dataset / ".soft.teacher").is_dir()

    second = Brightness()
    result = label_with(second, folder, "teacher", Runtime.start())

    assert (result["rows_found"], second.seen) == (12, 16 + 9 - 12)
    assert not (own_dataset / ".soft.teacher").exists()
    label_with(Brightness(), folder, "whole", Runtime.start())
    assert list(stored(own_dataset, "teacher").values()) == list(stored(own_dataset, "whole").values())


def test_what_another_teacher_left_half_done_is_not_taken_up(own_dataset: Path) -> None:
    folder = open_dataset(own_dataset)
    with pytest.raises(KeyboardInterrupt):
        label_with(Brightness("old", batches=3), folder, "teacher", Runtime.start())
    teacher = Brightness("new")
    assert label_with(teacher, folder, "teacher", Runtime.start())["rows_found"] == 0
    assert teacher.seen == 25
    assert not (own_dataset / ".soft.teacher").exists()


def test_labelling_again_touches_nothing_and_another_revision_replaces(own_dataset: Path) -> None:
    folder = open_dataset(own_dataset)
    label_with(Brightness(), folder, "teacher", Runtime.start())
    manifest, before = (own_dataset / "dataset.json").read_bytes(), files(own_dataset, "teacher")
    again = Brightness()

    result = label_with(again, folder, "teacher", Runtime.start())

    assert (result["rows_found"], again.seen) == (25, 0)
    assert (own_dataset / "dataset.json").read_bytes() == manifest
    assert files(own_dataset, "teacher") == before
    label_with(Brightness("2"), folder, "teacher", Runtime.start())
    assert SOFT_LABELS.read(open_dataset(own_dataset), "teacher").teacher_revision == "2"


def test_a_group_that_was_damaged_is_written_again(own_dataset: Path) -> None:
    folder = open_dataset(own_dataset)
    label_with(Brightness(), folder, "teacher", Runtime.start())
    before = files(own_dataset, "teacher")
    next((own_dataset / "train/soft.teacher").glob("*.arrow")).unlink()
    label_with(Brightness(), folder, "teacher", Runtime.start())
    assert files(own_dataset, "teacher") == before


def test_images_and_labels_are_not_written(own_dataset: Path) -> None:
    kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in own_dataset.rglob("*.arrow")}
    label_with(Brightness(), open_dataset(own_dataset), "teacher", Runtime.start())
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept} == kept


def test_a_logit_beyond_half_precision_stops_with_its_row(own_dataset: Path) -> None:
    class Diverged(Brightness):
        def label(self, split: str, faces: FaceBatch) -> TeacherLogits:
            logits = super().label(split, faces)
            diverged = (faces.rows == 6)[:, None]
            return {head: torch.where(diverged, 1e6, values) for head, values in logits.items() if head != "au"} | {
                "au": logits["au"]
            }

    with pytest.raises(DataError, match=r"'expression' of split 'train': row 6 has a logit that is no finite float16"):
        label_with(Diverged(), open_dataset(own_dataset), "teacher", Runtime.start())


def test_a_name_that_would_leave_the_dataset_is_refused_first(own_dataset: Path) -> None:
    with pytest.raises(UsageError, match=r"soft labels cannot be called 'a b'; use letters, digits, - and _"):
        label(own_dataset / "no model", own_dataset, "a b")


def test_a_second_command_of_the_same_name_is_refused_while_the_first_one_writes(own_dataset: Path) -> None:
    folder = open_dataset(own_dataset)
    writer = SoftLabelWriter(own_dataset, provenance_of(Brightness(), "teacher", folder), 4)
    with writer.owned(), pytest.raises(DataError, match="is being written by another process"):
        label_with(Brightness(), folder, "teacher", Runtime.start())


@pytest.mark.parametrize(
    ("rows", "batch", "expected"), [(1, 64, 64), (2048, 64, 64), (2049, 64, 128), (10**7, 64, 16384)]
)
def test_ranges_are_whole_batches(rows: int, batch: int, expected: int) -> None:
    assert rows_per_range(rows, batch) == expected


def test_batches_end_with_their_range() -> None:
    parts = [RowRange("train", 0, 2, 0, 5), RowRange("train", 1, 2, 10, 12)]
    batches = RowBatches(parts, 3)
    assert [[pick.row for pick in batch] for batch in batches] == [[0, 1, 2], [3, 4], [10, 11]]
    assert len(batches) == 3


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from affect_data.dataset.folder import open_dataset
from affect_train.inference import inference
from affect_train.runtime import Runtime
from affect_train.labelling.label import label_with
from test_label import Brightness

class Slow(Brightness):
    def logits(self, pixels):
        time.sleep(0.3)
        return super().logits(pixels)

inference.INFERENCE_BATCH = 4
label_with(Slow(), open_dataset({dataset!r}), "teacher", Runtime.start())
"""


@pytest.mark.slow
def test_a_killed_process_leaves_whole_ranges_that_the_next_one_takes_up(own_dataset: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), dataset=str(own_dataset))
    kill_when(["-c", code], lambda: len(list(own_dataset.glob(".soft.teacher/*/train/*.arrow"))) >= 2)

    second = Brightness()
    result = label_with(second, open_dataset(own_dataset), "teacher", Runtime.start())

    assert 8 <= result["rows_found"] < 25
    assert second.seen == 25 - result["rows_found"]
    label_with(Brightness(), open_dataset(own_dataset), "whole", Runtime.start())
    assert list(stored(own_dataset, "teacher").values()) == list(stored(own_dataset, "whole").values())


def test_half_precision_is_rounded_to_the_nearest(own_dataset: Path) -> None:
    label_with(Brightness(), open_dataset(own_dataset), "teacher", Runtime.start())
    teacher, rows = Brightness(), load_dataset(own_dataset, "train").with_format("arrow")[:]
    boxes = open_dataset(own_dataset).labels("train", ["face_box"])["face_box"]
    for row in (0, 7):
        data, box = rows["image"][row].as_py()["bytes"], boxes[row].to_list()
        pixels = torch.from_numpy(teacher.preprocessing(data, box).transpose(2, 0, 1).copy())[None]
        found = stored(own_dataset, "teacher")["train.au"][row][0]
        assert found == np.float16(teacher.logits(pixels)["au"].item())
