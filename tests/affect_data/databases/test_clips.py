"""Clips of any database: the order of their frames, which of them are kept, and the clips that are none."""

import re
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.databases.base import Licence, Scan, Tier
from affect_data.databases.clips import ClipDatabase, ClipOptions, frames_in
from affect_data.databases.root import DatabaseRoot
from affect_data.frames import evenly


class Films(ClipDatabase):
    """Clips of films, each in a folder.

    Official layout::

        clips.txt       a name a line
    """

    name = "films"
    title = "Films"
    homepage = "https://films.example/"
    citation = ""
    licence = Licence("research only", publishes=Tier.RECIPE, url="https://films.example/")
    source_family = "films"
    counted_as = "clips"

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """One row for each line."""
        clips = root.table("clips.txt", ("track",))
        return clips.with_columns(frames_in(root, clips["track"].to_list()))


def read(root: Path, clips: dict[str, list[str] | None], *, frames: int | None = None) -> Scan:
    """What is read of clips with frames of these names; None: there is no folder."""
    (root / "clips.txt").write_text("".join(f"{clip}\n" for clip in clips))
    for clip, names in clips.items():
        for name in names or ():
            (root / clip).mkdir(exist_ok=True)
            (root / clip / name).write_bytes(b"picture")
        if names == []:
            (root / clip).mkdir()
    return Films(ClipOptions(frames=frames)).read(DatabaseRoot(root))


def test_a_clip_is_one_row_whose_frames_go_by_number_and_whose_image_is_the_middle_one(tmp_path: Path) -> None:
    scan = read(tmp_path, {"a": ["10.jpg", "9.jpg", "2.png", "1.JPG"], "b": ["x_007.jpg".removeprefix("x_")]})
    assert scan.rows.select("track", "image", "label_scope", "clip_frames").rows() == [
        ("a", "a/9.jpg", "clip", ["a/1.JPG", "a/2.png", "a/9.jpg", "a/10.jpg"]),
        ("b", "b/007.jpg", "clip", ["b/007.jpg"]),
    ]
    assert (scan.lines, scan.counts) == (2, {"clips": 2})


def test_a_missing_folder_and_one_without_a_frame_are_failures_by_their_reason_and_missing_pictures(
    tmp_path: Path,
) -> None:
    scan = read(tmp_path, {"gone": None, "whole": ["1.jpg"], "empty": [], "no frame": ["notes.txt"]})
    assert scan.failures.select("source_line", "reason").rows() == [
        (1, "clip folder missing"),
        (3, "clip without frames"),
        (4, "clip without frames"),
    ]
    assert scan.rows["track"].to_list() == ["whole"]
    assert (scan.lines, scan.missing_pictures) == (4, 3)


def test_a_gap_in_the_numbers_is_noted_and_the_frames_keep_their_order(tmp_path: Path) -> None:
    scan = read(tmp_path, {"a": ["1.jpg", "2.jpg"], "b": ["3.jpg", "5.jpg", "20.jpg"]})
    assert scan.rows["clip_frames"].to_list()[1] == ["b/3.jpg", "b/5.jpg", "b/20.jpg"]
    assert scan.notes == (
        "1 clips leave out some frame numbers, such as b; their frames are kept in order",
        "2 clips of 2 to 3 frames, 5 in all",
    )


def test_two_frames_of_one_number_are_a_defect(tmp_path: Path) -> None:
    scan = read(tmp_path, {"a": ["1.jpg", "01.jpg"]})
    assert [str(defect) for defect in scan.defects] == [
        "a: found two frames of number 1: 01.jpg and 1.jpg; expected one frame for each frame; to fix: remove one of them"
    ]


def test_a_frame_that_leaves_the_folder_is_a_defect_of_its_clip(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"picture")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").mkdir()
    (root / "a" / "2.jpg").symlink_to(secret)
    scan = read(root, {"a": ["1.jpg"], "b": ["1.jpg"]})
    assert scan.rows["track"].to_list() == ["b"]
    assert [(d.line, d.found) for d in scan.defects] == [
        (1, "'a/2.jpg', which is a symbolic link that leads out of the folder")
    ]


def test_an_option_keeps_some_frames_evenly_spaced_and_says_how_many_it_leaves_out(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(1, 11)]
    scan = read(tmp_path, {"a": names, "b": ["1.jpg"]}, frames=3)
    # Ten frames in parts of 3, 3 and 4, of which the middle ones are the second, the fifth and the ninth.
    assert scan.rows["clip_frames"].to_list() == [["a/2.jpg", "a/5.jpg", "a/9.jpg"], ["b/1.jpg"]]
    assert scan.rows["image"].to_list() == ["a/5.jpg", "b/1.jpg"]
    assert scan.notes[-1] == "7 more frames are not kept: `frames: 3` keeps that many of a clip"


@given(st.integers(1, 200), st.one_of(st.none(), st.integers(1, 50)))
def test_kept_frames_rise_and_are_one_of_each_of_equal_parts(count: int, most: int | None) -> None:
    kept = [int(name) for name in evenly([str(number) for number in range(count)], most)]
    if most is None or count <= most:
        assert kept == list(range(count))
        return
    assert len(kept) == most
    gaps = [later - number for number, later in pairwise(kept)]
    assert all(abs(gap - count / most) <= 1 for gap in gaps)
    # No end is favoured by more than a frame.
    assert abs(kept[0] - (count - 1 - kept[-1])) <= 1


def test_a_pattern_of_its_own_numbers_frames_by_its_first_group(tmp_path: Path) -> None:
    for name in ("s_2_a.jpg", "s_10_a.jpg", "other.jpg"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).touch()
    found = frames_in(DatabaseRoot(tmp_path), ["a", "b"], re.compile(r"s_(\d+)_a\.jpg"))
    assert found.to_list() == [["a/s_2_a.jpg", "a/s_10_a.jpg"], None]


def test_no_clip_at_all_gives_no_row(tmp_path: Path) -> None:
    scan = read(tmp_path, {"a": None})
    assert scan.rows.is_empty()
    assert scan.rows.schema["clip_frames"] == pl.List(pl.String)


@pytest.mark.parametrize("frames", [0, -1])
def test_no_frame_of_a_clip_cannot_be_kept(frames: int) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        ClipOptions(frames=frames)
