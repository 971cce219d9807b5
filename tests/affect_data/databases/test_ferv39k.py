"""FERV39k: clips by scene, expression and number, the expression twice, and everything that can be wrong with it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.ferv39k import Ferv39k
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

TRAIN = ("Interview/Happy/0118 Happy", "War/Happy/0118 Happy")
TEST = ("Interview/Sad/0118 Sad",)


def write(root: Path, train: Sequence[str] | None = TRAIN, test: Sequence[str] | None = TEST) -> Path:
    """The two lists, and two frames for each clip of TRAIN and TEST."""
    (root / "4_setups" / "All_scenes").mkdir(parents=True)
    for part, lines in (("train", train), ("test", test)):
        if lines is not None:
            (root / "4_setups" / "All_scenes" / f"{part}_All.csv").write_text("".join(f"{line}\n" for line in lines))
    for line in (*TRAIN, *TEST):
        folder = root / "2_ClipsforFaceCrop" / line.split(" ")[0]
        folder.mkdir(parents=True)
        for name in ("9.jpg", "frame_10.jpg", "notes.txt"):
            (folder / name).touch()
    return root


def read(root: Path) -> Scan:
    return Ferv39k().read(DatabaseRoot(root))


def test_a_clip_is_its_scene_expression_and_number(tmp_path: Path) -> None:
    scan = read(write(tmp_path))
    assert scan.defects == ()
    assert scan.rows.select("track", "expression", "split", "source_line").rows() == [
        ("Interview/Happy/0118", "happiness", "train", 1),
        ("War/Happy/0118", "happiness", "train", 2),
        ("Interview/Sad/0118", "sadness", "test", 1),
    ]
    assert scan.counts == {"clips": 3, "train clips": 2, "test clips": 1, "scenes": 2}


def test_frames_are_in_the_order_of_the_last_number_in_their_names(tmp_path: Path) -> None:
    folder = "2_ClipsforFaceCrop/Interview/Happy/0118"
    assert read(write(tmp_path)).rows["clip_frames"].to_list()[0] == [f"{folder}/9.jpg", f"{folder}/frame_10.jpg"]


def test_two_frames_with_one_number_contradict_that_and_are_a_defect(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "2_ClipsforFaceCrop" / "War" / "Happy" / "0118" / "other_9.jpg").touch()
    (defect,) = read(tmp_path).defects
    assert str(defect).startswith(
        "2_ClipsforFaceCrop/War/Happy/0118: found two frames of number 9: 9.jpg and other_9.jpg"
    )


def test_the_seven_names_are_the_folders_of_the_official_layout() -> None:
    assert {row.native: row.unified for row in Ferv39k.mapping} == {
        "Happy": "happiness",
        "Sad": "sadness",
        "Neutral": "neutral",
        "Angry": "anger",
        "Surprise": "surprise",
        "Disgust": "disgust",
        "Fear": "fear",
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Interview/Happy/0118 Sad", "Sad for clip Interview/Happy/0118"),
        ("Interview/Happy/0118 Joy", "expression = 'Joy'"),
        ("Happy/0118 Happy", "clip = 'Happy/0118'"),
        ("../../Happy/0118 Happy", "clip = '../../Happy/0118'"),
        ("Interview/Happy/0118.mp4 Happy", "clip = 'Interview/Happy/0118.mp4'"),
        ("Interview/Happy/0118", "1 field(s): 'Interview/Happy/0118'"),
    ],
)
def test_a_line_that_contradicts_itself_or_has_another_form_is_a_defect(tmp_path: Path, line: str, found: str) -> None:
    assert [(d.line, d.found) for d in read(write(tmp_path, train=(line,))).defects] == [(1, found)]


def test_a_clip_in_both_lists_is_a_defect(tmp_path: Path) -> None:
    (defect,) = read(write(tmp_path, test=(*TEST, TRAIN[0]))).defects
    first = "first at 4_setups/All_scenes/train_All.csv:1"
    assert (defect.path, defect.line) == ("4_setups/All_scenes/test_All.csv", 2)
    assert defect.found == f"clip Interview/Happy/0118 again ({first})"


def test_a_clip_that_is_not_there_is_a_failure_and_a_list_that_is_not_is_a_loss(tmp_path: Path) -> None:
    scan = read(write(tmp_path, train=(*TRAIN, "War/Fear/0001 Fear"), test=None))
    assert scan.failures.select("source_line", "reason").rows() == [(3, "clip folder missing")]
    assert scan.losses == ("no test list",)


def test_lists_of_another_name_are_noted(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "4_setups" / "All_scenes" / "train_All_v2.csv").touch()
    assert "not read in 4_setups/All_scenes: train_All_v2.csv" in read(tmp_path).notes


def test_lists_and_clips_may_lie_where_mirrors_put_them(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "4_setups" / "All_scenes").rename(tmp_path / "All_scenes")
    (tmp_path / "2_ClipsforFaceCrop").rename(tmp_path / "x")
    (tmp_path / "2_ClipsforFaceCrop").mkdir()
    (tmp_path / "x").rename(tmp_path / "2_ClipsforFaceCrop" / "2_ClipsforFaceCrop")
    scan = read(tmp_path)
    assert len(scan.rows) == 3
    assert scan.rows["image"][0].startswith("2_ClipsforFaceCrop/2_ClipsforFaceCrop/Interview/")


def test_without_lists_or_clips_the_place_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a", train=None, test=None)
    with pytest.raises(DatabaseNotFoundError, match=r"there is no 4_setups/All_scenes/train_All\.csv"):
        read(tmp_path / "a")
    write(tmp_path / "b")
    (tmp_path / "b" / "2_ClipsforFaceCrop").rename(tmp_path / "clips")
    assert [defect.path for defect in read(tmp_path / "b").defects] == ["2_ClipsforFaceCrop"]
