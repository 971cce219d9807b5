"""MAFW: eleven classes, three of them its own, lists of five folds, a workbook that says the class again, and what can be wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.mafw import DIFFERS, NOT_UNIFIED, Mafw, MafwOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo.workbook import write_workbook
from affect_data.errors import DatabaseNotFoundError

TRAIN = ("00025.mp4 anger", "00026.mp4 anxiety")
TEST = ("00031.mp4 contempt",)
CLASSES: Sequence[tuple[str, int]] = (("00025.mp4", 1), ("00026.mp4", 9), ("00031.mp4", 8))
LISTS = Path("Train & Test Set", "single", "no_caption")


def write(
    root: Path,
    train: Sequence[str] = TRAIN,
    test: Sequence[str] | None = TEST,
    classes: Sequence[tuple[str, int | str]] | None = CLASSES,
    fold: int = 1,
) -> Path:
    """The lists of a fold, two frames for the clips of TRAIN and TEST, and the workbook."""
    (root / LISTS / f"set_{fold}").mkdir(parents=True)
    for part, lines in (("train", train), ("test", test)):
        if lines is not None:
            (root / LISTS / f"set_{fold}" / f"{part}.txt").write_text("".join(f"{line}\n" for line in lines))
    for line in (*TRAIN, *TEST):
        folder = root / "data" / "frames" / line[:5]
        folder.mkdir(parents=True, exist_ok=True)
        for number in (9, 10):
            (folder / f"{number}.png").touch()
    if classes is not None:
        (root / "labels").mkdir(exist_ok=True)
        write_workbook(root / "labels" / "single-set.xlsx", [["clip", "anger", "single_label"], *_lines(classes)])
    return root


def _lines(classes: Sequence[tuple[str, int | str]]) -> list[list[str | int | None]]:
    return [[clip, 0, code] for clip, code in classes]


def read(root: Path, **options: int) -> Scan:
    return Mafw(MafwOptions(**options)).read(DatabaseRoot(root))


def test_classes_of_its_own_are_masked_and_kept_by_name(tmp_path: Path) -> None:
    scan = read(write(tmp_path))
    assert scan.defects == ()
    columns = ("track", "expression", "expression_masked", "native_expression", "split", "source_line")
    assert scan.rows.select(columns).rows() == [
        ("00025", "anger", None, "anger", "train", 1),
        ("00026", None, NOT_UNIFIED, "anxiety", "train", 2),
        ("00031", "contempt", None, "contempt", "test", 1),
    ]
    assert scan.rows["clip_frames"].to_list()[0] == [f"data/frames/00025/{number}.png" for number in (9, 10)]
    assert scan.counts == {"clips": 3, "train clips": 2, "test clips": 1}


def test_a_class_that_the_workbook_contradicts_is_masked_and_the_clip_stays(tmp_path: Path) -> None:
    scan = read(write(tmp_path, classes=(("00025.mp4", 2), ("00026", 9))))
    assert scan.rows.select("expression", "expression_masked").rows() == [
        (None, DIFFERS),
        (None, NOT_UNIFIED),
        ("contempt", None),
    ]
    assert "1 clips have another class in single-set.xlsx than in the list" in scan.notes
    assert "single-set.xlsx has no line for 1 listed clips" in scan.notes


def test_without_the_workbook_the_lists_are_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, classes=None)).rows["expression"].to_list() == ["anger", None, "contempt"]


def test_a_fold_has_lists_of_its_own(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, train=TEST, test=TRAIN, fold=3)
    assert read(tmp_path, fold=3).rows["split"].to_list() == ["train", "test", "test"]
    with pytest.raises(DatabaseNotFoundError, match=r"there is no Train & Test Set/single/no_caption/set_5/train\.txt"):
        read(tmp_path, fold=5)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("00025.mp4 rage", "class = 'rage'"),
        ("00025.mp4 anger_disgust", "class = 'anger_disgust'"),
        ("25.mp4 anger", "clip = '25.mp4'"),
        ("../00025.mp4 anger", "clip = '../00025.mp4'"),
        ("00025.mp4", "1 field(s): '00025.mp4'"),
        ("00025.mp4 anger A man speaks", "5 field(s): '00025.mp4 anger A man speaks'"),
    ],
)
def test_a_line_of_another_form_is_a_defect(tmp_path: Path, line: str, found: str) -> None:
    assert [(d.line, d.found) for d in read(write(tmp_path, train=(line,))).defects] == [(1, found)]


def test_an_unknown_code_and_another_header_of_the_workbook_are_defects(tmp_path: Path) -> None:
    (defect,) = read(write(tmp_path / "a", classes=(("00025.mp4", 12),))).defects
    twice = read(write(tmp_path / "twice", classes=(*CLASSES, ("25", 1)))).defects
    assert [(d.line, d.found) for d in twice] == [(5, "clip 00025 again (first in line 2)")]
    assert (defect.path, defect.line, defect.found) == ("labels/single-set.xlsx", 2, "single_label = '12'")
    write(tmp_path / "b", classes=None)
    (tmp_path / "b" / "labels").mkdir()
    write_workbook(tmp_path / "b" / "labels" / "single-set.xlsx", [["name", "label"], ["00025", 1]])
    assert "expected columns clip and single_label" in str(read(tmp_path / "b").defects[0])


def test_a_clip_in_both_lists_is_a_defect(tmp_path: Path) -> None:
    (defect,) = read(write(tmp_path, test=(*TEST, TRAIN[0]))).defects
    assert defect.found == f"clip 00025 again (first at {LISTS.as_posix()}/set_1/train.txt:1)"


def test_a_missing_list_is_a_loss_and_missing_frames_are_failures_or_a_defect(tmp_path: Path) -> None:
    scan = read(write(tmp_path, train=(*TRAIN, "00777.mp4 fear"), test=None))
    assert scan.losses == ("no test list of fold 1",)
    assert scan.failures.select("source_line", "reason").rows() == [(3, "clip folder missing")]
    (tmp_path / "data" / "frames").rename(tmp_path / "data" / "clips")
    assert [defect.path for defect in read(tmp_path).defects] == ["data/frames"]
