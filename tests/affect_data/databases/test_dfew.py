"""DFEW: labels from 1, lists of a fold, votes of ten annotators, and everything that can be wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.dfew import NOT_MOST_VOTED, Dfew, DfewOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo.workbook import write_workbook
from affect_data.errors import DatabaseNotFoundError

HEADER = ("1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "order")
VOTES = ((8, 0, 2, 0, 0, 0, 0, 1), (0, 0, 1, 9, 0, 0, 0, 2), (0, 7, 0, 0, 0, 0, 3, 12))


def write(
    root: Path,
    train: Sequence[str] = ("1,1", "2,4"),
    test: Sequence[str] | None = ("12,2",),
    votes: Sequence[Sequence[int | str | None]] | None = VOTES,
    header: Sequence[str] = HEADER,
    fold: int = 1,
) -> Path:
    """The lists of a fold, two frames for clips 1, 2 and 12, and the workbook."""
    for part, lines in (("train", train), ("test", test)):
        folder = root / "EmoLabel_DataSplit" / f"{part}(single-labeled)"
        folder.mkdir(parents=True, exist_ok=True)
        if lines is not None:
            (folder / f"set_{fold}.csv").write_text("video_name,label\n" + "".join(f"{line}\n" for line in lines))
    for clip in (1, 2, 12):
        folder = root / "Clip" / "clip_224x224" / f"{clip:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        for frame in (9, 10):
            (folder / f"{frame}.jpg").touch()
    if votes is not None:
        (root / "Annotation").mkdir(exist_ok=True)
        write_workbook(root / "Annotation" / "annotation.xlsx", [list(header), *map(list, votes)])
    return root


def read(root: Path, **options: int) -> Scan:
    return Dfew(DfewOptions(**options)).read(DatabaseRoot(root))


def test_labels_count_from_1_in_its_own_order_and_clips_are_folders_of_five_digits(tmp_path: Path) -> None:
    scan = read(write(tmp_path))
    assert scan.defects == ()
    assert scan.rows.select("track", "expression", "split", "image", "source_line").rows() == [
        ("00001", "happiness", "train", "Clip/clip_224x224/00001/10.jpg", 2),
        ("00002", "anger", "train", "Clip/clip_224x224/00002/10.jpg", 3),
        ("00012", "sadness", "test", "Clip/clip_224x224/00012/10.jpg", 2),
    ]
    assert scan.rows["clip_frames"].to_list()[0] == [f"Clip/clip_224x224/00001/{n}.jpg" for n in (9, 10)]
    assert scan.counts == {"clips": 3, "train clips": 2, "test clips": 1}


def test_all_seven_labels_are_in_the_order_of_the_official_columns() -> None:
    # 1 Happy 2 Sad 3 Neutral 4 Angry 5 Surprise 6 Disgust 7 Fear
    assert Dfew.expressions == ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")


def test_votes_are_shares_of_the_annotators_by_clip(tmp_path: Path) -> None:
    rows = read(write(tmp_path)).rows
    assert rows["votes_happiness"].to_list() == [0.8, 0.0, 0.0]
    assert rows["votes_sadness"].to_list() == [0.0, 0.0, 0.7]
    assert rows["votes_anger"].to_list() == [0.0, 0.9, 0.0]
    assert rows["votes_fear"].to_list() == [0.0, 0.0, 0.3]


def test_a_class_that_is_not_the_most_voted_is_masked_with_the_reason_and_the_clip_stays(tmp_path: Path) -> None:
    scan = read(write(tmp_path, train=("1,2", "2,4")))
    assert scan.defects == ()
    assert scan.rows.select("track", "expression", "expression_masked").rows()[:2] == [
        ("00001", None, NOT_MOST_VOTED),
        ("00002", "anger", None),
    ]
    assert scan.rows["votes_happiness"][0] == 0.8


def test_a_class_that_shares_the_most_votes_is_kept(tmp_path: Path) -> None:
    scan = read(write(tmp_path, votes=[(5, 5, 0, 0, 0, 0, 0, 1), *VOTES[1:]]))
    assert scan.rows["expression"][0] == "happiness"


def test_a_fold_has_lists_of_its_own(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, train=("12,2",), test=("1,1", "2,4"), fold=3)
    assert dict(read(tmp_path, fold=3).rows.select("track", "split").iter_rows()) == {
        "00012": "train",
        "00001": "test",
        "00002": "test",
    }
    with pytest.raises(DatabaseNotFoundError, match="there is no list of fold 5"):
        read(tmp_path, fold=5)
    with pytest.raises(ValidationError, match="less than or equal to 5"):
        DfewOptions(fold=6)


def test_a_clip_that_is_listed_twice_is_a_defect_in_one_list_or_across_both(tmp_path: Path) -> None:
    scan = read(write(tmp_path, train=("1,1", "2,4", "1,1"), test=("12,2", "2,4")))
    train, test = (f"EmoLabel_DataSplit/{part}(single-labeled)/set_1.csv" for part in ("train", "test"))
    assert [(d.path, d.line, d.found) for d in scan.defects] == [
        (test, 3, f"clip 00002 again (first at {train}:3)"),
        (train, 4, f"clip 00001 again (first at {train}:2)"),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [("1,0", "label = '0'"), ("1,8", "label = '8'"), ("1,happy", "label = 'happy'"), ("1a,1", "video_name = '1a'")],
)
def test_an_unknown_code_or_name_is_a_defect_with_its_line(tmp_path: Path, line: str, found: str) -> None:
    assert [(d.line, d.found) for d in read(write(tmp_path, train=(line, "2,4"))).defects] == [(2, found)]


def test_another_header_is_a_defect(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "EmoLabel_DataSplit" / "train(single-labeled)" / "set_1.csv"
    file.write_text("label,video_name\n1,1\n")
    assert "found the header 'label,video_name'; expected video_name,label" in str(read(tmp_path).defects[0])


@pytest.mark.parametrize(
    ("votes", "found"),
    [
        ((11, 0, 0, 0, 0, 0, 0, 1), "1happy = '11'"),
        ((6, 6, 0, 0, 0, 0, 0, 1), "12 votes"),
        ((0, 0, 0, 0, 0, 0, 0, 1), "0 votes"),
        ((10, 0, 0, 0, 0, 0, 0, "x"), "order = 'x'"),
    ],
)
def test_votes_that_cannot_be_are_a_defect_of_the_workbook(
    tmp_path: Path, votes: tuple[int | str, ...], found: str
) -> None:
    defects = read(write(tmp_path, votes=[votes, *VOTES[1:]])).defects
    assert [(d.path, d.line, d.found) for d in defects] == [("Annotation/annotation.xlsx", 2, found)]


def test_a_clip_with_two_lines_of_votes_is_a_defect(tmp_path: Path) -> None:
    defects = read(write(tmp_path, votes=[*VOTES, VOTES[0]])).defects
    assert [(d.line, d.found) for d in defects] == [(5, "clip 00001 again (first in line 2)")]


def test_a_workbook_without_a_column_of_votes_is_a_defect(tmp_path: Path) -> None:
    defects = read(write(tmp_path, header=("happy", *HEADER[1:]))).defects
    assert "found the header 'happy, 2sad" in str(defects[0])
    assert "expected columns 1happy, 2sad, 3neutral, 4angry, 5surprise, 6disgust, 7fear and order" in str(defects[0])


def test_what_is_no_workbook_is_a_defect(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Annotation" / "annotation.xlsx").write_bytes(b"no workbook")
    assert "no readable workbook" in str(read(tmp_path).defects[0])


def test_without_the_workbook_or_a_list_the_copy_has_lost_a_part_and_classes_are_read(tmp_path: Path) -> None:
    scan = read(write(tmp_path, test=None, votes=None))
    assert scan.losses == ("no test list of fold 1", "no votes (no Annotation/annotation.xlsx)")
    assert scan.rows["expression"].to_list() == ["happiness", "anger"]
    assert scan.rows["votes_happiness"].null_count() == 2


def test_a_listed_clip_without_votes_and_votes_on_unlisted_clips_are_noted(tmp_path: Path) -> None:
    scan = read(write(tmp_path, votes=[*VOTES[:2], (3, 3, 4, 0, 0, 0, 0, 777)]))
    assert "1 listed clips have no line of votes" in scan.notes
    assert "Annotation/annotation.xlsx: votes on 3 clips" in scan.notes
    assert len(scan.rows) == 3
    assert scan.rows["expression"][2] == "sadness"


def test_fewer_votes_than_ten_are_noted_and_are_shares_of_those_who_voted(tmp_path: Path) -> None:
    scan = read(write(tmp_path, votes=[(6, 0, 2, 0, 0, 0, 0, 1), *VOTES[1:]]))
    assert scan.rows["votes_happiness"][0] == 0.75
    assert "Annotation/annotation.xlsx: 1 clips with fewer than 10 votes" in scan.notes


def test_a_clip_whose_folder_is_missing_is_a_failure(tmp_path: Path) -> None:
    scan = read(write(tmp_path, train=("1,1", "2,4", "777,3")))
    assert scan.failures.select("source_line", "reason").rows() == [(4, "clip folder missing")]


def test_without_any_folder_of_clips_the_place_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Clip").rename(tmp_path / "elsewhere")
    assert [str(d.path) for d in read(tmp_path).defects] == ["Clip/clip_224x224"]
