"""`affect-data frames`: the pictures that a reader then reads carry the numbers that its labels mean."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydantic import ValidationError
from python_processes import kill_when, run_python
from videos import number_in, write_disfa, write_video

from affect_data.databases.affwild2.images import NO_VIDEO, TWO_PEOPLE
from affect_data.databases.affwild2.reader import AffWild2, AffWild2Options
from affect_data.databases.affwild2.reasons import NO_LABEL
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.expw import ExpW
from affect_data.databases.extraction import extract_frames
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError, UsageError


def number_of(path: Path) -> int:
    return number_in(np.asarray(Image.open(path)))


def test_a_row_of_disfa_shows_the_frame_that_its_label_means(tmp_path: Path) -> None:
    root = write_disfa(tmp_path, {"SN001": (20, 20), "SN002": (20, 18), "SN010": (19, 20), "SN003": (4, 0)})
    write_video(root / "Videos_LeftCamera/LeftVideoSN004_comp.avi", range(3))
    report = extract_frames(Disfa(), DatabaseRoot(root))
    assert [report.total(what) for what in ("written", "labels_without_frame", "frames_without_label")] == [57, 2, 1]
    assert report.without_video == {"SN003": 4}
    assert report.without_label == ("Videos_LeftCamera/LeftVideoSN004_comp.avi",)
    assert not report.is_whole
    scan = Disfa().read(DatabaseRoot(root))
    assert (scan.defects, len(scan.rows), scan.missing_pictures) == ((), 57, 6)
    for image, frame, intensity in scan.rows.select("image", "frame", "au_intensity_1").iter_rows():
        assert number_of(root / image) == frame - 1
        assert intensity == frame % 6
    again = extract_frames(Disfa(), DatabaseRoot(root))
    assert {made.outcome for made in again.made} == {"there before"}
    assert again.total("written") == 57


def test_frames_in_a_folder_of_their_own_are_a_root_of_their_own(tmp_path: Path) -> None:
    root = write_disfa(tmp_path / "disfa", {"SN001": (5, 5)})
    extract_frames(Disfa(), DatabaseRoot(root), tmp_path / "out")
    assert not (root / "Images").exists()
    assert len(Disfa().read(DatabaseRoot(tmp_path / "out")).rows) == 5


def test_line_n_of_aff_wild2_belongs_to_frame_n_and_two_people_of_one_video_are_not_guessed(tmp_path: Path) -> None:
    folder = tmp_path / "VA_Estimation_Challenge/Train_Set"
    folder.mkdir(parents=True)
    (folder.parent / "Validation_Set").mkdir()
    (folder.parent / "Validation_Set/462.txt").write_text("valence,arousal\n0.5,0.5")
    tracks = {"105": 12, "video2_left": 8, "10-60-1280x720": 8, "10-60-1280x720_right": 8}
    for track, count in tracks.items():
        lines = [f"0.{number:02d},0.5" if number != 4 else "-5,-5" for number in range(1, count + 1)]
        (folder / f"{track}.txt").write_text("\n".join(["valence,arousal", *lines]))
    write_video(tmp_path / "videos/batch1/105.avi", range(11), "mpeg4", options={"bf": "2"})
    for name in ("video2", "10-60-1280x720"):
        write_video(tmp_path / f"videos/batch2/{name}.mp4", range(8), "libx264", options={"bf": "3"})
    reader = AffWild2(AffWild2Options(release="abaw3"))
    with pytest.raises(
        DatabaseNotFoundError, match=r"there are 3 video.s., whose whole frames `affect-data frames affwild2"
    ):
        reader.read(DatabaseRoot(tmp_path))
    in_videos = AffWild2(AffWild2Options(release="abaw3", frames="video")).read(DatabaseRoot(tmp_path))
    assert in_videos.defects == ()
    assert "no video of 1 labelled track(s): 462" in in_videos.losses
    report = extract_frames(reader, DatabaseRoot(tmp_path))
    assert report.without_video == {"462": 1}
    # One label line more than frames is usual; line 4 has no label.
    assert [report.total(what) for what in ("written", "labels_without_frame", "frames_without_label")] == [24, 1, 3]
    scan = reader.read(DatabaseRoot(tmp_path))
    assert scan.defects == ()
    assert scan.rows["track"].unique().to_list() == ["105"]
    assert len(scan.failures.filter(pl.col("reason") == TWO_PEOPLE)) == 24
    for image, frame, valence in scan.rows.select("image", "frame", "valence").iter_rows():
        assert number_of(tmp_path / image) == frame - 1
        assert valence == pytest.approx(frame / 100)
    # Of the last label, whose frame is missing, a row that names a frame is told when the video is decoded.
    assert in_videos.rows.filter(pl.col("frame") < 12).drop("image").equals(scan.rows.drop("image"))
    assert in_videos.rows["image"].to_list() == [f"videos/batch1/105.avi#{n}" for n in range(1, 13) if n != 4]
    assert dict(in_videos.failures.group_by("reason").len().iter_rows()) == {TWO_PEOPLE: 24, NO_VIDEO: 1, NO_LABEL: 1}


def test_frames_in_the_videos_of_aff_wild2_and_a_folder_of_pictures_are_not_asked_for_at_once() -> None:
    with pytest.raises(
        ValidationError, match="`frames: video` reads no folder of pictures: leave out `crops: cropped`"
    ):
        AffWild2Options(frames="video", crops="cropped")


def test_aff_wild2_without_a_video_says_where_they_are_looked_for(tmp_path: Path) -> None:
    folder = tmp_path / "VA_Estimation_Challenge/Train_Set"
    folder.mkdir(parents=True)
    (folder / "105.txt").write_text("valence,arousal\n0.5,0.5")
    reader = AffWild2(AffWild2Options(release="abaw3", frames="video"))
    with pytest.raises(
        DatabaseNotFoundError, match=r"`frames: video` needs the videos, and none is in videos/batch\*, "
    ):
        reader.read(DatabaseRoot(tmp_path))


def test_a_database_of_pictures_has_no_frames(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expw is read from its pictures"):
        extract_frames(ExpW(), DatabaseRoot(tmp_path))


def test_a_root_without_videos_shows_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="it holds no video in Videos_LeftCamera, "):
        extract_frames(Disfa(), DatabaseRoot(write_disfa(tmp_path, {"SN001": (5, 0)})))


def test_a_killed_command_goes_on_and_no_half_folder_passes_as_whole(tmp_path: Path) -> None:
    root = write_disfa(tmp_path, {f"SN00{number}": (300, 300 * (number == 1)) for number in range(1, 7)})
    for number in range(2, 7):
        shutil.copy(
            root / "Videos_LeftCamera/LeftVideoSN001_comp.avi",
            root / f"Videos_LeftCamera/LeftVideoSN00{number}_comp.avi",
        )
    command = ["-m", "affect_data", "frames", "disfa", "--root", f"disfa={root}", "--json"]
    kill_when(command, lambda: len(list((root / "Images").glob("SN*"))) >= 2)
    there = sorted(folder.name for folder in (root / "Images").glob("SN*"))
    assert 2 <= len(there) < 6
    assert all(len(list((root / "Images" / name).glob("*.jpg"))) == 300 for name in there)
    stamps = {name: (root / "Images" / name / "00001.jpg").stat().st_mtime_ns for name in there}
    again = run_python([*command, "--workers", "2"])
    report = json.loads(again.stdout)
    assert (again.returncode, report["written"], report["whole"]) == (0, 1800, True)
    assert [video["name"] for video in report["videos"] if video["outcome"] == "there before"] == there
    assert all((root / "Images" / name / "00001.jpg").stat().st_mtime_ns == stamp for name, stamp in stamps.items())
    assert sorted(folder.name for folder in (root / "Images").iterdir()) == [f"SN00{number}" for number in range(1, 7)]
