"""Checks of face boxes, crops and the annotation tool's regions."""

import io
import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasets import Features, Value
from PIL import Image

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks.annotation_tool import AnnotationTool
from affect_data.audit.checks.face_boxes import FaceBoxes, MixedCrops
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.crops import CROPPED, CROPS
from affect_data.dataset.writing import add_group

Find = Callable[..., pl.DataFrame]


def grey_noise(seed: int, side: int) -> bytes:
    """A picture of a size that no other seed gives."""
    sink = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def said(found: pl.DataFrame, key: str) -> list[tuple[str, object]]:
    return sorted((uid, evidence[key]) for uid, evidence in zip(found["uid"], found["evidence"], strict=True))


def test_boxes_outside_their_picture_and_boxes_with_a_second_face_are_found(find: Find) -> None:
    photo, other = grey_noise(1, 100), grey_noise(2, 100)
    rows = [
        {"uid": "inside", "image": photo, "face_box": [10.0, 10.0, 50.0, 50.0]},
        # Half of the neighbour's box is in this one.
        {"uid": "crowded", "image": other, "face_box": [0.0, 0.0, 40.0, 40.0]},
        {"uid": "neighbour", "image": other, "face_box": [20.0, 0.0, 60.0, 20.0]},
        {"uid": "half outside", "image": grey_noise(3, 100), "face_box": [80.0, 0.0, 120.0, 40.0]},
        {"uid": "a little outside", "image": grey_noise(4, 100), "face_box": [-2.0, 0.0, 38.0, 40.0]},
        {"uid": "the same face", "image": photo, "face_box": [11.0, 10.0, 51.0, 50.0]},
        {"uid": "no box", "image": photo},
    ]
    found = find(FaceBoxes, {"train": rows})
    assert said(found, "defect") == [("half outside", "outside"), ("neighbour", "crowded")]
    # By hand: half of 40 x 40 is beyond 100; 20 x 20 of 40 x 20 are in the other box, which is a quarter of that one's 40 x 40.
    assert found.sort("uid")["score"].to_list() == pytest.approx([0.75, 0.75])


def test_faces_of_other_moments_are_no_second_face(find: Find) -> None:
    still = grey_noise(1, 100)
    rows = [
        {
            "uid": f"{frame}",
            "track": "t",
            "frame": frame,
            "image": still,
            "face_box": [10.0 * frame, 0.0, 40.0 + 10.0 * frame, 40.0],
        }
        for frame in range(3)
    ]
    assert find(FaceBoxes, {"train": rows}).is_empty()


def test_rows_that_are_cut_in_another_way_than_their_database_are_found(find: Find) -> None:
    boxed = [
        {"uid": f"boxed{i}", "database": "affectnet", "image": grey_noise(i, 80), "face_box": [10.0, 10.0, 60.0, 60.0]}
        for i in range(8)
    ]
    odd = [
        {"uid": "no box", "database": "affectnet", "image": grey_noise(20, 80)},
        {"uid": "whole", "database": "affectnet", "image": grey_noise(21, 80), "face_box": [0.0, 0.0, 79.0, 79.0]},
    ]
    crops = [{"uid": f"crop{i}", "database": "ferplus", "image": grey_noise(40 + i, 48)} for i in range(9)]
    crops.append({"uid": "larger", "database": "ferplus", "image": grey_noise(60, 96)})
    found = find(MixedCrops, {"train": boxed + odd + crops})
    assert said(found, "kind") == [
        ("larger", "no box, 96 x 96"),
        ("no box", "no box, 80 x 80"),
        ("whole", "the box is the picture"),
    ]
    assert found.sort("uid")["score"].to_list() == pytest.approx([0.9, 0.8, 0.8])


def test_a_database_of_pictures_of_all_sizes_has_one_kind_of_crop(find: Find) -> None:
    rows = [{"image": grey_noise(side, side)} for side in range(40, 60)]
    assert find(MixedCrops, {"train": rows}).is_empty()


def test_rows_of_stored_crops_that_show_no_found_face_are_found_by_policy(
    make_dataset: Callable[..., DatasetFolder],
) -> None:
    rows = [
        {"uid": f"{database}{i}", "database": database, "image": grey_noise(i, 80)}
        for database in ("affectnet", "ferplus")
        for i in range(4)
    ]
    folder = make_dataset({"train": rows})
    # One row of AffectNet without a face; in FER+ none was found at all, which is one kind.
    flags = [uid != "affectnet2" and uid < "ferplus" for uid in folder.labels("train", ["uid"])["uid"]]
    column = CROPS.column("fmae-5", CROPPED)
    folder = add_group(
        folder, CROPS.group("fmae-5"), [("train", pa.table({column: flags}))], Features({column: Value("bool")}), {}
    )
    found = MixedCrops().find(AuditedDataset(folder))
    assert found.select("uid", "score").rows() == [("affectnet2", 0.75)]
    assert json.loads(found["evidence"][0]) == {
        "kind": "fmae-5, no face: its own box or the whole picture",
        "usual": "fmae-5, a found face",
    }


def test_happiness_outside_the_region_of_affectnets_tool_is_found(
    find: Find, make_dataset: Callable[..., object]
) -> None:
    inside = [(0.5, 0.3), (1.0, 0.5), (0.01, -0.2)]
    outside = [(0.6, 0.8), (0.0, 0.0), (-0.3, 0.1)]
    rows = [
        {"uid": f"in{i}", "database": "affectnet", "expression": "happiness", "va": va} for i, va in enumerate(inside)
    ]
    rows += [
        {"uid": f"out{i}", "database": "affectnet", "expression": "happiness", "va": va} for i, va in enumerate(outside)
    ]
    rows += [{"uid": "sad", "database": "affectnet", "expression": "sadness", "va": (0.6, 0.8)}]
    rows += [{"uid": "elsewhere", "expression": "happiness", "va": (0.6, 0.8)}]
    found = find(AnnotationTool, {"train": rows}).sort("uid")
    assert found["uid"].to_list() == ["out0", "out1", "out2"]
    assert found["score"].to_list() == pytest.approx([0.65, 0.5, 0.65], abs=1e-3)
    other = AuditedDataset(make_dataset({"train": [{"expression": "happiness"}]}, "other"))  # type: ignore[arg-type]
    assert "says which regions" in AnnotationTool().not_applicable(other)
