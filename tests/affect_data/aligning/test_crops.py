"""Stored crops: what every row shows, what is counted, and what a second policy or a kill leaves alone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features, List, Value

from affect_data.aligning import crops
from affect_data.aligning.crops import CropCounts, crops_of_other_faces, write_crops
from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.crops import CROPPED, CROPS, uncropped_rows
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES, FacesProvenance
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.writing import add_group
from affect_data.errors import UnknownNameError, UsageError
from affect_data.faces.detection import DetectedFace
from affect_data.faces.orientation import upright_pixels
from affect_data.faces.policies import ARCFACE_112, STORED, policy_named

TEMPLATE = np.array(ARCFACE_112, np.float32)


def told_faces(row: int) -> DetectedFace | None:
    """Of every fifth row no face was found; every seventh face has all its points in one place, every eleventh has none."""
    if row % 5 == 0:
        return None
    points = None if row % 11 == 0 else TEMPLATE * 0 + 9 if row % 7 == 0 else TEMPLATE / 4 + np.float32(row % 3)
    return DetectedFace((4.1 + row % 3, 5.3, 30.7, 40.5 - 1e-9), 0.9, points)


def with_faces(folder: DatasetFolder, version: str = "1") -> DatasetFolder:
    def column(name: str) -> str:
        return FACES.column(NAME_OF_FACES, name)

    tables = []
    for split in folder.splits:
        faces = [told_faces(row) for row in range(folder.rows(split))]
        points = [
            np.full(10, np.nan) if face is None or face.points is None else face.points.reshape(-1) for face in faces
        ]
        values = {
            "found": pa.array([face is not None for face in faces]),
            "box": pa.array(
                [[np.nan] * 4 if face is None else list(face.box) for face in faces], pa.list_(pa.float32(), 4)
            ),
            "points": pa.array([list(own) for own in points], pa.list_(pa.float32(), 10)),
            "score": pa.array([np.nan if face is None else face.score for face in faces], pa.float32()),
        }
        tables.append((split, pa.table({column(name): value for name, value in values.items()})))
    kinds = {
        "found": Value("bool"),
        "box": List(Value("float32"), length=4),
        "points": List(Value("float32"), length=10),
        "score": Value("float32"),
    }
    provenance = FacesProvenance(
        made_from=FACES.made_from(folder), detector="told", version=version, weights_digest="", rule_version=1
    )
    features = Features({column(name): kind for name, kind in kinds.items()})
    return add_group(folder, FACES.group(NAME_OF_FACES), tables, features, provenance.model_dump())


@pytest.fixture
def aligned(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    """The demo dataset with faces of which it is told."""
    return with_faces(open_dataset(shutil.copytree(demo_report.dataset.path, tmp_path / "merged")))


@pytest.fixture
def in_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "FEWEST_ROWS", 32)


def stored(folder: DatasetFolder, name: str) -> Iterator[tuple[bytes, bool, int]]:
    """The file of each row of a policy's crops, whether it is the crop of a found face, and its number in its split."""
    group = CROPS.group(name)
    for split in folder.splits:
        table = folder.load(split, [group]).data.table
        flags = table.column(CROPS.column(name, CROPPED)).to_pylist()
        for row, (picture, flag) in enumerate(zip(table.column(group).to_pylist(), flags, strict=True)):
            yield picture["bytes"], flag, row


def test_every_row_shows_its_face_or_else_its_own_box_or_the_whole_picture(aligned: DatasetFolder) -> None:
    write_crops(aligned.path, STORED)
    folder = open_dataset(aligned.path)
    pictures = [
        data
        for split in folder.splits
        for data in folder.load(split, ["images"]).data.table.column("image").to_pylist()
    ]
    boxes = np.concatenate([folder.labels(split, ["face_box"])["face_box"].to_numpy() for split in folder.splits])
    for name in STORED:
        policy = policy_named(name)
        cut = 0
        for (data, cropped, row), picture, box in zip(stored(folder, name), pictures, boxes, strict=True):
            pixels, face = upright_pixels(picture["bytes"]), told_faces(row)
            lost = face is None or (name == "affwild2-112" and (face.points is None or row % 7 == 0))
            assert cropped is not lost
            if lost:
                assert data == policy.encoded(policy.fallback(pixels, box.tolist()))
            else:
                assert face is not None
                assert data == policy.crop_bytes(pixels, face)
            cut += cropped
        assert sum(uncropped_rows(folder, name).values()) == len(pictures) - cut


def test_crops_open_as_pictures_beside_the_labels(aligned: DatasetFolder) -> None:
    write_crops(aligned.path, ["affwild2-112"])
    rows = open_dataset(aligned.path).load("train", ["labels", "crops.affwild2-112"])
    assert rows[0]["crops.affwild2-112"].size == (112, 112)
    assert rows[0]["crops.affwild2-112.cropped"] is False
    assert len(load_dataset(aligned.path, "train")) == len(rows)


def test_what_was_cut_is_counted_by_database(aligned: DatasetFolder) -> None:
    loose, turned = write_crops(aligned.path, ["loose-1.3", "affwild2-112"])
    rows = sum(aligned.manifest.rows.values())
    for report in (loose, turned):
        assert sum(one.rows for one in report.databases.values()) == rows
        assert all(one.rows == one.cropped + one.no_face + one.refused for one in report.databases.values())
        assert list(report.databases) == sorted(aligned.manifest.databases)
    numbers = [row for split in aligned.splits for row in range(aligned.rows(split))]
    no_face = sum(row % 5 == 0 for row in numbers)
    assert sum(one.no_face for one in turned.databases.values()) == no_face
    assert sum(one.refused for one in loose.databases.values()) == 0
    refused = sum(row % 5 != 0 and (row % 7 == 0 or row % 11 == 0) for row in numbers)
    assert sum(one.refused for one in turned.databases.values()) == refused
    assert turned.to_json()["databases"]["expw"].keys() == CropCounts(0, 0, 0, 0).__dict__.keys()


def test_another_policy_rewrites_no_picture_and_no_other_crop(
    aligned: DatasetFolder, digests: Callable[[Path], dict[str, str]]
) -> None:
    write_crops(aligned.path, ["fmae-5"])
    before = digests(aligned.path)
    times = {name: (aligned.path / name).stat().st_mtime_ns for name in before if name != "dataset.json"}
    write_crops(aligned.path, ["loose-1.3"])
    after = digests(aligned.path)
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == {"crops.loose-1.3"}
    assert [name for name in before if before[name] != after[name]] == ["dataset.json"]
    assert times == {name: (aligned.path / name).stat().st_mtime_ns for name in times}


def test_a_second_call_writes_nothing(aligned: DatasetFolder, digests: Callable[[Path], dict[str, str]]) -> None:
    write_crops(aligned.path, ["fmae-5"])
    before = digests(aligned.path)
    (report,) = write_crops(aligned.path, ["fmae-5"])
    assert report.kept == sum(aligned.manifest.rows.values())
    assert digests(aligned.path) == before


@pytest.mark.usefixtures("in_small_files")
def test_a_call_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    aligned: DatasetFolder, digests: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(aligned.path, tmp_path / "whole"))
    write_crops(whole, ["fmae-5"])

    class StoppedError(Exception): ...

    def stop(_: str, done: int, rows: int) -> None:
        if done > rows / 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_crops(aligned.path, ["fmae-5"], progress=stop)
    assert CROPS.names(open_dataset(aligned.path)) == ()
    (report,) = write_crops(aligned.path, ["fmae-5"])
    rows = sum(aligned.manifest.rows.values())
    assert rows / 2 < report.kept < rows
    assert digests(aligned.path) == digests(whole)


@pytest.mark.slow
@pytest.mark.usefixtures("in_small_files")
def test_several_processes_give_the_same_bytes(
    aligned: DatasetFolder, digests: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(aligned.path, tmp_path / "whole"))
    write_crops(whole, ["fmae-5"])
    write_crops(aligned.path, ["fmae-5"], workers=2)
    assert digests(aligned.path) == digests(whole)


def test_crops_by_the_faces_of_another_detector_are_named_and_cut_again(aligned: DatasetFolder) -> None:
    write_crops(aligned.path, ["fmae-5", "loose-1.3"])
    folder = with_faces(open_dataset(aligned.path), version="2")
    assert crops_of_other_faces(folder) == ("fmae-5", "loose-1.3")
    (report,) = write_crops(folder.path, ["fmae-5"])
    assert report.kept == 0
    assert crops_of_other_faces(open_dataset(folder.path)) == ("loose-1.3",)


def test_what_cannot_be_stored_is_refused(aligned: DatasetFolder, demo_report: BuildReport) -> None:
    with pytest.raises(
        UsageError,
        match=r"the policy box needs no crops: .* Policies whose crops are stored: affwild2-112, fmae-5, loose-1\.3",
    ):
        write_crops(aligned.path, ["box"])
    with pytest.raises(UnknownNameError, match="unknown crop policy 'fmae'"):
        write_crops(aligned.path, ["fmae"])
    with pytest.raises(UnknownNameError, match="affect-data align DATASET"):
        write_crops(demo_report.dataset.path, ["fmae-5"])


def test_a_picture_that_cannot_be_decoded_is_stored_as_found_and_refused_where_it_would_be_used() -> None:
    row = crops._Row("x/a.jpg", b"no picture", None, None, (np.nan,) * 4)
    assert crops._crop(row, policy_named("fmae-5")) == (b"no picture", False)
