from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.soft_labels import write_soft_labels
from affect_train.errors import ModelMismatchError
from affect_train.inputs.batch import Pick
from affect_train.inputs.labels import LabelArrays, column_array, load_labels, split_rows, text_codes
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.tasks import TaskSet

TASKS = TaskSet((12, 1, 4), ("surprise", "neutral", "anger"), 5)


def batch_of(dataset: Path, rows: list[int], tasks: TaskSet = TASKS, soft_labels: tuple[str, ...] = ()) -> object:
    split, labels = load_labels(open_dataset(dataset), "train", tasks, soft_labels)
    faces = FaceImages(split, Preprocessing(16)).__getitems__([Pick(row) for row in rows])
    return labels.batch(faces)


def test_labels_stand_in_the_order_of_the_heads_with_their_masks(dataset: Path) -> None:
    # rows of the fixture: 0 AU, 1 expression, 2 VA, 3 AU and VA; AU1 = n % 2, AU12 = n // 2 % 2, AU4 never labelled
    batch = batch_of(dataset, [3, 0, 1, 2, 9])
    assert batch.au.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert batch.au_mask.tolist() == [[True, True, False], [True, True, False], *[[False] * 3] * 3]
    # row 1 is anger, the head's class 2; row 9 is class 9 % 7 = 2, disgust, which the head lacks
    assert batch.expression.tolist() == [-1, -1, 2, -1, -1]
    assert batch.expression_mask.tolist() == [False, False, True, False, False]
    # valence of row n is n % 11 / 5 - 1, arousal n % 5 / 2 - 1
    assert batch.valence.tolist() == pytest.approx([-0.4, 0, 0, -0.6, 0])
    assert batch.arousal.tolist() == pytest.approx([0.5, 0, 0, 0, 0])
    assert batch.va_mask.tolist() == [True, False, False, True, False]
    assert batch.rows.tolist() == [3, 0, 1, 2, 9]
    assert batch.uids[0] == "expw:clip0/00003#0"
    dtypes = [batch.au.dtype, batch.au_mask.dtype, batch.expression.dtype, batch.valence.dtype, batch.va_mask.dtype]
    assert dtypes == [torch.float32, torch.bool, torch.int64, torch.float32, torch.bool]


def test_masks_hold_each_label_that_is_there(dataset: Path) -> None:
    batch = batch_of(dataset, [3, 0, 1, 2, 9])
    counts = {"au": batch.au_mask.sum(), "expression": batch.expression_mask.sum(), "va": batch.va_mask.sum()}
    assert {task: int(count) for task, count in counts.items()} == {"au": 4, "expression": 1, "va": 2}


def test_pools_hold_the_rows_with_a_label_that_the_heads_can_use(dataset: Path) -> None:
    _, labels = load_labels(open_dataset(dataset), "train", TASKS)
    pools = labels.pools(TASKS)
    assert pools["au"].tolist() == [row for row in range(40) if row % 4 in (0, 3)]
    # classes are row % 7; the heads have neutral 0, anger 1 and surprise 6
    assert pools["expression"].tolist() == [row for row in range(40) if row % 4 == 1 and row % 7 in (0, 1, 6)]
    assert pools["va"].tolist() == [row for row in range(40) if row % 4 in (2, 3)]


def test_pools_exist_for_the_heads_alone(dataset: Path) -> None:
    tasks = TaskSet(action_units=(4,))
    assert {
        task: len(rows) for task, rows in load_labels(open_dataset(dataset), "train", tasks)[1].pools(tasks).items()
    } == {"au": 0}


def test_a_batch_moves_to_a_device_whole(dataset: Path) -> None:
    moved = batch_of(dataset, [0, 1]).to("meta")
    assert {moved.inputs.device.type, moved.au.device.type, moved.rows.device.type} == {"meta"}
    assert len(moved) == 2


def test_columns_that_lie_in_several_files_are_joined_in_order(dataset: Path) -> None:
    loaded = open_dataset(dataset).load("train")
    assert loaded.data.table.column("frame").num_chunks > 1
    assert column_array(loaded, "frame").tolist() == list(range(40))
    assert column_array(loaded, "au", [0, 1]).shape == (40, 2)


def test_action_units_that_no_database_codes_are_missing(world: SimpleNamespace, tmp_path: Path) -> None:
    rows = {"train": [(number, ("expression",)) for number in range(6)]}
    loaded = open_dataset(world.write_dataset(tmp_path / "merged", rows)).load("train")
    assert not {"au", "au_mask"} & set(loaded.column_names)
    assert column_array(loaded, "au", [0, 5]).tolist() == [[-1, -1]] * 6
    assert not column_array(loaded, "au_mask").any()


def test_people_and_videos_have_numbers_in_the_order_of_the_rows(dataset: Path) -> None:
    folder = open_dataset(dataset)
    rows, named = split_rows(folder, "train"), folder.labels("train", ["database", "subject", "track"])
    for column in ("subject", "track"):
        pairs = list(zip(named["database"], named[column], strict=True))
        known = list(dict.fromkeys(pairs))
        assert text_codes(rows, column).tolist() == [known.index(pair) for pair in pairs]


def test_texts_have_the_numbers_that_a_dataset_folder_gives_them() -> None:
    rows = Dataset.from_dict(
        {"database": [1, 0, 0, 1, 0, 1], "subject": ["b", "a", "b", "a", "", "b"], "track": ["", "", "", "", "", ""]}
    )
    assert text_codes(rows, "subject").tolist() == [0, 1, 2, 3, -1, 0]
    assert text_codes(rows, "track").tolist() == [-1] * 6


def test_the_rows_of_a_split_take_two_small_numbers_each_in_memory(dataset: Path) -> None:
    folder = open_dataset(dataset)
    split_rows(folder, "train")
    before = pa.total_allocated_bytes()
    rows = split_rows(folder, "train")
    assert pa.total_allocated_bytes() - before <= 1024
    assert sum(rows.data.table.column(name).nbytes for name in ("subject", "track")) == 2 * 4 * 40


PROVENANCE = {"name": "teacher", "teacher_id": "runs/teacher", "teacher_revision": "0" * 8, "view": "whole"}


def written(dataset: Path, **heads: object) -> dict[str, np.ndarray]:
    """Writes soft labels whose logit of row r and column c is r + c / 8 for the training split."""
    folder = open_dataset(dataset)
    provenance = SoftLabelProvenance(**PROVENANCE, made_from=SOFT_LABELS.made_from(folder), **heads)
    logits = {
        split: {
            head: (np.arange(folder.rows(split))[:, None] + np.arange(width) / 8).astype(np.float16)
            for head, width in provenance.widths().items()
        }
        for split in folder.splits
    }
    write_soft_labels(dataset, provenance, logits)
    return logits["train"]


def test_soft_labels_are_permuted_to_the_students_heads_by_name(own_dataset: Path) -> None:
    written(own_dataset, action_units=(1, 2, 12), expressions=("neutral", "anger", "surprise"), valence_arousal_bins=5)
    soft = batch_of(own_dataset, [2, 0], soft_labels=("teacher",)).soft["teacher"]
    # the student's AUs 12, 1, 4 are the teacher's columns 2, 0 and none
    assert soft.au.tolist() == [[2.25, 2.0, 0.0], [0.25, 0.0, 0.0]]
    assert soft.au_mask.tolist() == [True, True, False]
    # surprise, neutral, anger are the teacher's columns 2, 0, 1
    assert soft.expression.tolist() == [[2.25, 2.0, 2.125], [0.25, 0.0, 0.125]]
    assert soft.valence[0].tolist() == [2.0, 2.125, 2.25, 2.375, 2.5]
    assert soft.arousal.dtype == torch.float32


def test_heads_that_teacher_or_student_lack_are_absent(own_dataset: Path) -> None:
    written(own_dataset, action_units=(2, 12))
    soft = batch_of(own_dataset, [0], soft_labels=("teacher",)).soft["teacher"]
    assert soft.au_mask.tolist() == [True, False, False]
    assert (soft.expression, soft.valence, soft.arousal) == (None, None, None)


def test_classes_that_the_teacher_lacks_are_masked_and_its_others_left_out(own_dataset: Path) -> None:
    written(own_dataset, expressions=("anger", "fear", "neutral"))
    soft = batch_of(own_dataset, [2, 0], soft_labels=("teacher",)).soft["teacher"]
    # surprise, neutral, anger are none of the teacher's columns, 2 and 0
    assert soft.expression.tolist() == [[0.0, 2.25, 2.0], [0.0, 0.25, 0.0]]
    assert soft.expression_mask.tolist() == [False, True, True]


def test_a_teacher_that_has_all_classes_of_the_student_needs_no_mask(own_dataset: Path) -> None:
    written(own_dataset, expressions=("fear", "anger", "surprise", "neutral"))
    soft = batch_of(own_dataset, [2], soft_labels=("teacher",)).soft["teacher"]
    assert soft.expression.tolist() == [[2.25, 2.375, 2.125]]
    assert soft.expression_mask is None


def test_a_teacher_of_other_classes_is_refused(own_dataset: Path) -> None:
    written(own_dataset, expressions=("neutral", "fear"))
    with pytest.raises(
        ModelMismatchError,
        match=r"'teacher', expression classes: found \(neutral, fear\); expected two classes at least that all of them share with the student: "
        "surprise, neutral, anger",
    ):
        load_labels(open_dataset(own_dataset), "train", TASKS, ["teacher"])


def test_a_teacher_of_other_bins_is_refused(own_dataset: Path) -> None:
    written(own_dataset, valence_arousal_bins=20)
    with pytest.raises(ModelMismatchError, match=r"'teacher', valence and arousal bins: found 20; expected 5"):
        load_labels(open_dataset(own_dataset), "train", TASKS, ["teacher"])


def test_a_teacher_without_any_head_of_the_student_is_refused(own_dataset: Path) -> None:
    written(own_dataset, action_units=(45,))
    with pytest.raises(ModelMismatchError, match=r"soft labels 'teacher': found no head that the student has"):
        load_labels(open_dataset(own_dataset), "train", TASKS, ["teacher"])


def test_label_arrays_know_their_length(dataset: Path) -> None:
    _, labels = load_labels(open_dataset(dataset), "train", TASKS)
    assert isinstance(labels, LabelArrays)
    assert len(labels) == 40
