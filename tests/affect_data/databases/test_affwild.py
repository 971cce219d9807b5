"""Aff-Wild, the first one: line n is frame n, two files of almost one length, and videos that are Aff-Wild2's."""

from pathlib import Path

import pytest
from videos import write_video

from affect_data.databases.affwild import AffWild
from affect_data.databases.affwild2.reader import AffWild2
from affect_data.databases.base import Scan
from affect_data.databases.extraction import extract_frames
from affect_data.databases.ratings import ONLY_ONE
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError


def write(root: Path, valence: str | None, arousal: str | None, frames: int = 12, video: str = "105") -> Path:
    for label, text in (("valence", valence), ("arousal", arousal)):
        folder = root / "annotations" / "train" / label
        folder.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / f"{video}.txt").write_text(text)
    if frames:
        (root / "frames" / video).mkdir(parents=True)
    for number in range(1, frames + 1):
        (root / "frames" / video / f"{number:05d}.jpg").touch()
    return root


def read(root: Path) -> Scan:
    return AffWild().read(DatabaseRoot(root))


def test_line_n_is_frame_n_and_what_one_file_rates_alone_is_masked(tmp_path: Path) -> None:
    scan = read(write(tmp_path, "0.1\n-0.2\n0.3\n", "0.5\n0.6\n", frames=4))
    assert scan.defects == ()
    assert scan.rows.select("image", "frame", "valence", "arousal", "va_masked", "subject").rows() == [
        ("frames/105/00001.jpg", 1, 0.1, 0.5, None, "105"),
        ("frames/105/00002.jpg", 2, -0.2, 0.6, None, "105"),
        ("frames/105/00003.jpg", 3, None, None, ONLY_ONE, "105"),
    ]
    assert "1 frame(s) have no label and are not read" in scan.notes


def test_a_video_with_one_of_the_two_files_is_a_loss_and_a_wrong_value_a_defect(tmp_path: Path) -> None:
    scan = read(write(tmp_path / "a", "0.1\n", None))
    assert scan.losses == ("no arousal of 1 video(s), such as 105",)
    assert scan.rows["valence"].to_list() == [None]
    (defect,) = read(write(tmp_path / "b", "0.1\n-5\n", "0.1\n0.1\n")).defects
    assert (defect.path, defect.line, defect.found) == ("annotations/train/valence/105.txt", 2, "valence = '-5'")


def test_frames_come_out_of_its_videos(tmp_path: Path) -> None:
    root = write(tmp_path, "0.1\n" * 6, "0.1\n" * 6, frames=0)
    write_video(root / "videos" / "train" / "105.avi", range(5))
    with pytest.raises(DatabaseNotFoundError, match="Extract them: `affect-data frames affwild"):
        read(root)
    report = extract_frames(AffWild(), DatabaseRoot(root))
    assert (report.total("written"), report.total("labels_without_frame")) == (5, 1)
    assert read(root).missing_pictures == 1


def test_it_is_of_the_family_of_aff_wild2_and_is_not_found_where_it_is_not(tmp_path: Path) -> None:
    assert AffWild.source_family == AffWild2.source_family
    (tmp_path / "x.txt").touch()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no file such as annotations/train/valence/105\.txt"):
        read(tmp_path)
