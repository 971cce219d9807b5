"""Two detectors that disagree about a face."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Features, List, Value

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks.face_agreement import FaceAgreement
from affect_data.audit.run import run_audits
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES, SECOND_FACES
from affect_data.dataset.writing import add_group

Face = tuple[Sequence[float], Sequence[float]] | None
"""Box and points; None for no face."""

BOX = (10, 10, 50, 60)
POINTS = (20, 30, 40, 30, 30, 40, 22, 50, 38, 50)  # eyes 20 apart
NO_POINTS = (np.nan,) * 10


def moved(points: Sequence[float], by: float) -> tuple[float, ...]:
    return tuple(value + by * (number % 2 == 0) for number, value in enumerate(points))


def with_faces(folder: DatasetFolder, kind: Any, name: str, faces: dict[str, list[Face]]) -> DatasetFolder:
    described = Features(
        {
            kind.column(name, "found"): Value("bool"),
            kind.column(name, "box"): List(Value("float32"), length=4),
            kind.column(name, "points"): List(Value("float32"), length=10),
        }
    )
    tables = []
    for split in folder.splits:
        filled = [face or ((np.nan,) * 4, NO_POINTS) for face in faces[split]]
        columns = [[face is not None for face in faces[split]], [f[0] for f in filled], [f[1] for f in filled]]
        tables.append(
            (
                split,
                pa.Table.from_arrays([pa.array(c) for c in columns], names=list(described)).cast(
                    described.arrow_schema
                ),
            )
        )
    origin = {"detector": name, "version": "1", "weights_digest": "", "rule_version": 1}
    return add_group(folder, kind.group(name), tables, described, {"made_from": kind.made_from(folder), **origin})


def test_what_two_detectors_see_differently_is_found_and_nothing_else(
    make_dataset: Callable[..., DatasetFolder],
) -> None:
    names = ["same", "near", "none", "first alone", "second alone", "another", "moved", "no points"]
    folder = make_dataset({"train": [{"uid": name} for name in names[:5]], "test": [{"uid": n} for n in names[5:]]})
    far = (60, 10, 100, 60)
    first: dict[str, list[Face]] = {
        "train": [(BOX, POINTS), (BOX, POINTS), None, (BOX, POINTS), None],
        "test": [(BOX, POINTS), (BOX, POINTS), (BOX, NO_POINTS)],
    }
    second: dict[str, list[Face]] = {
        "train": [(BOX, POINTS), ((12, 12, 52, 62), moved(POINTS, 5)), None, None, (BOX, POINTS)],
        "test": [(far, POINTS), (BOX, moved(POINTS, 7)), (BOX, POINTS)],
    }
    folder = with_faces(folder, FACES, NAME_OF_FACES, first)
    folder = with_faces(folder, SECOND_FACES, "told", second)
    found = FaceAgreement().find(AuditedDataset(folder)).sort("uid")
    assert found.select("uid", "split").rows() == [
        ("another", "test"), ("first alone", "train"), ("moved", "test"), ("second alone", "train"),
    ]  # fmt: skip
    assert np.allclose(found["score"].to_list(), [1.0, 0.5, 7 / 20, 0.5])
    evidence = [run["evidence"] for run in run_audits(folder, ["face_agreement"]).findings.sort("uid").to_dicts()]
    assert ['"defect":"another face"' in evidence[0], '"found_by":"faces"' in evidence[1]] == [True, True]
    assert '"defect":"points apart"' in evidence[2]
    assert '"found_by":"told"' in evidence[3]
    assert '"box":[10.0,10.0,50.0,60.0]' in evidence[2]


def test_faces_of_one_detector_are_nothing_to_compare(make_dataset: Callable[..., DatasetFolder]) -> None:
    folder = make_dataset({"train": [{}]})
    assert FaceAgreement().not_applicable(AuditedDataset(folder)) == (
        "the dataset has no faces that fit its pictures: `affect-data align DATASET --detector DETECTOR`"
    )
    folder = with_faces(folder, FACES, NAME_OF_FACES, {"train": [(BOX, POINTS)]})
    assert "no faces of a second detector" in FaceAgreement().not_applicable(AuditedDataset(folder))
    folder = with_faces(folder, SECOND_FACES, "told", {"train": [(BOX, POINTS)]})
    assert FaceAgreement().not_applicable(AuditedDataset(open_dataset(folder.path))) == ""
    assert len(FaceAgreement().find(AuditedDataset(folder))) == 0
