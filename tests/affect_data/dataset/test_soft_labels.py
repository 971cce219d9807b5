"""Soft labels: joined to their rows, bound to their dataset, and refused where they do not fit."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasets import Features, List, Value, load_from_disk
from labelled_rows import with_other
from pydantic import ValidationError

from affect_data import load_dataset
from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.base import StaleGroupError
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.soft_labels import (
    SoftLabelWriter,
    write_soft_labels,
)
from affect_data.errors import DataError, NotADatasetError, UnknownNameError

Logits = dict[str, dict[str, np.ndarray]]


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    return open_dataset(shutil.copytree(demo_report.dataset.path, tmp_path / "merged"))


@pytest.fixture
def provenance(dataset: DatasetFolder) -> SoftLabelProvenance:
    return SoftLabelProvenance(
        name="teacher",
        teacher_id="runs/teacher",
        teacher_revision="3f2a",
        made_from=SOFT_LABELS.made_from(dataset),
        view="centre crop, margin 0.2, 112 px",
        action_units=(1, 12),
        expressions=("neutral", "anger", "happiness"),
        valence_arousal_bins=20,
    )


@pytest.fixture
def logits(dataset: DatasetFolder) -> Logits:
    rng = np.random.default_rng(0)
    widths = {"au": 2, "expression": 3, "valence": 20, "arousal": 20}
    return {
        split: {
            head: rng.normal(size=(dataset.rows(split), width)).astype(np.float16) for head, width in widths.items()
        }
        for split in dataset.splits
    }


def test_the_logits_come_back_beside_their_rows_bit_for_bit(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    write_soft_labels(dataset.path, provenance, logits)
    for split in dataset.splits:
        joined = load_dataset(dataset.path, split, soft_labels=["teacher"])
        plain = load_dataset(dataset.path, split)
        assert joined.column_names == [
            *plain.column_names,
            *(f"soft.teacher.{head}" for head in ("au", "expression", "valence", "arousal")),
        ]
        assert joined["uid"][:] == plain["uid"][:]
        for head, expected in logits[split].items():
            column = joined.data.table.column(f"soft.teacher.{head}").combine_chunks()
            assert column.flatten().to_numpy().reshape(expected.shape).tobytes() == expected.tobytes()


def test_the_group_opens_alone_with_fixed_widths_in_half_precision(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    write_soft_labels(dataset.path, provenance, logits)
    alone = load_from_disk(str(dataset.path / "train" / "soft.teacher"))
    widths = {"au": 2, "expression": 3, "valence": 20, "arousal": 20}
    assert alone.features == Features(
        {f"soft.teacher.{head}": List(Value("float16"), length=width) for head, width in widths.items()}
    )


def test_the_same_again_changes_no_byte_and_labels_and_images_stay(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits, digests: Callable[[Path], dict[str, str]]
) -> None:
    built = digests(dataset.path)
    write_soft_labels(dataset.path, provenance, logits)
    written = digests(dataset.path)
    write_soft_labels(dataset.path, provenance, logits)
    assert digests(dataset.path) == written
    assert {path: written[path] for path in built if path != "dataset.json"} == {
        p: d for p, d in built.items() if p != "dataset.json"
    }
    assert open_dataset(dataset.path).fingerprint == dataset.fingerprint


def test_the_time_of_the_first_writing_stays_and_other_logits_replace_it(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits, digests: Callable[[Path], dict[str, str]]
) -> None:
    write_soft_labels(dataset.path, provenance.model_copy(update={"created": "2026-01-01"}), logits)
    written = digests(dataset.path)
    write_soft_labels(dataset.path, provenance.model_copy(update={"created": "2026-02-02"}), logits)
    assert digests(dataset.path) == written
    logits["train"]["au"][0, 0] += 1
    write_soft_labels(dataset.path, provenance.model_copy(update={"created": "2026-03-03"}), logits)
    assert SOFT_LABELS.read(open_dataset(dataset.path), "teacher").created == "2026-03-03"
    assert load_dataset(dataset.path, "train", ["teacher"])["soft.teacher.au"][0][0] == logits["train"]["au"][0, 0]


def test_ranges_in_any_order_are_the_same_as_all_rows_at_once(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    whole = write_soft_labels(dataset.path, provenance, logits).manifest.groups
    other = provenance.model_copy(update={"teacher_revision": "in ranges"})
    for number, step in enumerate((1, -1)):
        writer = SoftLabelWriter(dataset.path, other.model_copy(update={"teacher_id": f"{number}"}), 10)
        parts = writer.ranges()
        with pytest.raises(DataError, match=f"lack {dataset.rows('train') + dataset.rows('validation'):,} rows"):
            writer.commit()
        assert sum(map(len, parts)) == sum(map(dataset.rows, dataset.splits))
        for part in parts[::step]:
            writer.write(part, {head: values[part.start : part.stop] for head, values in logits[part.split].items()})
        assert not writer.missing()
        assert writer.commit().manifest.groups == whole
        assert load_dataset(dataset.path, "train", ["teacher"])["soft.teacher.au"][:] == logits["train"]["au"].tolist()
        assert not list(dataset.path.glob(".soft*"))


def test_a_range_of_the_wrong_length_is_refused(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    writer = SoftLabelWriter(dataset.path, provenance, 10)
    heads = {head: values[:9] for head, values in logits["train"].items()}
    with pytest.raises(DataError, match=r"'au' of split 'train' have shape \[9, 2\], expected \[10, 2\]"):
        writer.write(writer.ranges()[0], heads)


def test_two_teachers_stand_side_by_side(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    for name in ("anna", "bert"):
        write_soft_labels(dataset.path, provenance.model_copy(update={"name": name}), logits)
    joined = load_dataset(dataset.path, "train", soft_labels=["bert", "anna"])
    assert joined.column_names[-8::4] == ["soft.bert.au", "soft.anna.au"]


def test_a_teacher_without_a_head_has_no_column_for_it(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    write_soft_labels(
        dataset.path, provenance.model_copy(update={"action_units": (), "valence_arousal_bins": 0}), logits
    )
    assert load_dataset(dataset.path, "train", ["teacher"]).column_names[-1] == "soft.teacher.expression"
    assert "soft.teacher.au" not in load_dataset(dataset.path, "train", ["teacher"]).column_names


def test_the_provenance_is_read_back_as_it_was_written(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    write_soft_labels(dataset.path, provenance, logits)
    assert SOFT_LABELS.read(open_dataset(dataset.path), "teacher") == provenance
    assert SOFT_LABELS.group("teacher") == "soft.teacher"


def test_an_unknown_key_in_a_provenance_is_refused(provenance: SoftLabelProvenance) -> None:
    with pytest.raises(ValidationError, match="temperature"):
        SoftLabelProvenance.model_validate({**provenance.model_dump(), "temperature": 1.5})


# ---------------------------------------------------------------- what does not fit


def refusal(dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits) -> str:
    with pytest.raises(DataError) as caught:
        write_soft_labels(dataset.path, provenance, logits)
    assert open_dataset(dataset.path).groups("train") == ("images", "labels", "native", "votes")
    return str(caught.value)


def test_soft_labels_of_another_dataset_are_refused_on_writing(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    foreign = provenance.model_copy(update={"made_from": {"pictures": "0" * 16}})
    message = refusal(dataset, foreign, logits)
    assert message == (
        "soft labels 'teacher' were made from other pictures than the dataset has now. "
        "Make them again: `affect-train label RUN DATASET --name teacher`"
    )


def test_soft_labels_of_other_pictures_are_refused_on_reading(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    written = write_soft_labels(dataset.path, provenance, logits)
    with pytest.raises(StaleGroupError, match=r"were made from other pictures than the dataset has now"):
        SOFT_LABELS.read(with_other(written, "pictures"), "teacher")


def test_soft_labels_stay_when_labels_are_corrected(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    written = write_soft_labels(dataset.path, provenance, logits)
    assert SOFT_LABELS.read(with_other(written, "labels", "people"), "teacher") == provenance


def test_an_unknown_teacher_is_named_with_the_known_ones(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    write_soft_labels(dataset.path, provenance, logits)
    with pytest.raises(
        UnknownNameError,
        match=r"unknown soft labels in '.*' \(`affect-train label RUN DATASET --name anna` writes them\) 'anna'; known: teacher$",
    ):
        SOFT_LABELS.read(open_dataset(dataset.path), "anna")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_refused_with_its_row(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits, value: float
) -> None:
    logits["validation"]["expression"][4, 1] = value
    assert refusal(dataset, provenance, logits) == (
        "soft labels 'expression' of split 'validation': row 4 has a logit that is no finite float16; the teacher diverged"
    )


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_a_logit_beyond_half_precision_is_refused_and_not_stored_as_infinite(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    logits["train"]["au"] = logits["train"]["au"].astype(np.float32)
    logits["train"]["au"][2, 0] = 1e6
    assert "'au' of split 'train': row 2 has a logit that is no finite float16" in refusal(dataset, provenance, logits)


@pytest.mark.parametrize("shape", [(-1, 4), (-1,), (-1, 3, 1)])
def test_a_wrong_width_is_refused_with_both_shapes(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits, shape: tuple[int, ...]
) -> None:
    rows = dataset.rows("train")
    logits["train"]["expression"] = np.zeros([rows if side == -1 else side for side in shape], np.float16)
    found = [rows, *shape[1:]]
    assert f"soft labels 'expression' of split 'train' have shape {found}, expected [{rows}, 3]" in refusal(
        dataset, provenance, logits
    )


def test_a_wrong_number_of_rows_is_refused(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    rows = dataset.rows("train")
    logits["train"] = {head: values[1:] for head, values in logits["train"].items()}
    assert f"soft labels 'au' of split 'train' have shape [{rows - 1}, 2], expected [{rows}, 2]" in refusal(
        dataset, provenance, logits
    )


def test_heads_of_different_lengths_are_refused(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    logits["train"]["au"] = logits["train"]["au"][1:]
    rows = dataset.rows("train")
    message = refusal(dataset, provenance, logits)
    assert re.search(rf"'au' of split 'train' have shape \[{rows - 1}, 2\], expected \[{rows}, 2\]", message)


def test_a_missing_head_is_named(dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits) -> None:
    del logits["train"]["arousal"]
    assert refusal(dataset, provenance, logits) == "soft labels of split 'train' lack the head 'arousal'"


def test_a_missing_split_is_named(dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits) -> None:
    del logits["validation"]
    assert (
        refusal(dataset, provenance, logits)
        == "soft labels 'teacher' cover the splits ['train'], the dataset has ['train', 'validation']"
    )


def test_a_teacher_without_any_head_is_refused(
    dataset: DatasetFolder, provenance: SoftLabelProvenance, logits: Logits
) -> None:
    headless = provenance.model_copy(update={"action_units": (), "expressions": (), "valence_arousal_bins": 0})
    assert refusal(dataset, headless, logits) == "soft labels 'teacher' have no head; the teacher predicts nothing"


@pytest.mark.parametrize("name", ["", "../teacher", "a/b", ".hidden", "a b"])
def test_a_name_that_would_leave_the_dataset_folder_is_refused(provenance: SoftLabelProvenance, name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        SoftLabelProvenance.model_validate({**provenance.model_dump(), "name": name})


def test_a_dataset_that_is_not_built_names_the_command(tmp_path: Path, provenance: SoftLabelProvenance) -> None:
    with pytest.raises(NotADatasetError, match="Build it with `affect-data build RECIPE"):
        write_soft_labels(tmp_path / "none", provenance, {})
