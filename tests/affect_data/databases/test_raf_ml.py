"""RAF-ML: the order of six shares, what makes a class of them, and everything that can be wrong with a line."""

from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.raf_ml import ORDER, RafMl, RafMlOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

# A line of the official file.
BLEND = "0001.jpg 0.080000 0.000000 0.280000 0.000000 0.640000 0.000000 "


def write(root: Path, *lines: str, folder: str = "") -> Path:
    for kind in ("aligned", "original"):
        (root / folder / kind).mkdir(parents=True)
        for line in lines:
            ending = "_aligned.jpg" if kind == "aligned" else ".jpg"
            (root / folder / kind / f"{line[:4]}{ending}").touch()
    (root / "distribution.txt").write_text("".join(f"{line}\n" for line in lines))
    return root


def read(root: Path, **options: object) -> Scan:
    return RafMl(RafMlOptions.model_validate(options)).read(DatabaseRoot(root))


def line(name: str, *shares: float) -> str:
    return f"{name}.jpg {' '.join(f'{share:.6f}' for share in shares)} "


def test_the_shares_are_votes_in_the_order_of_raf_db_without_neutral(tmp_path: Path) -> None:
    scan = read(write(tmp_path, BLEND))
    assert scan.defects == ()
    row = scan.rows.row(0, named=True)
    assert {name: row[f"votes_{name}"] for name in ORDER} == {
        "surprise": 0.08,
        "fear": 0.0,
        "disgust": 0.28,
        "happiness": 0.0,
        "sadness": 0.64,
        "anger": 0.0,
    }
    assert (row["image"], row["expression"], row["source_line"]) == ("aligned/0001_aligned.jpg", "sadness", 1)


def test_without_a_majority_there_are_votes_and_no_class_unless_the_recipe_wants_fewer(tmp_path: Path) -> None:
    root = write(tmp_path, line("0001", 0.4, 0.35, 0.25, 0, 0, 0), line("0002", 0.5, 0.5, 0, 0, 0, 0))
    rows = read(root).rows
    assert rows["expression"].to_list() == [None, None]
    assert rows["expression_masked"].null_count() == 0
    assert read(root, rule="plurality").rows["expression"].to_list() == ["surprise", None]


def test_pictures_lie_beside_the_list_or_in_image_and_the_photographs_can_be_read(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", BLEND, folder="Image")).rows["image"][0] == "Image/aligned/0001_aligned.jpg"
    assert read(write(tmp_path / "b", BLEND), images="original").rows["image"][0] == "original/0001.jpg"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (line("0001", 0.5, 0.4, 0, 0, 0, 0), "shares that sum to 0.9"),
        (line("0001", 1.5, 0, 0, 0, 0, 0), "surprise = '1.500000'"),
        ("0001.jpg x 0 0 0 0 1", "surprise = 'x'"),
        ("0001.jpg nan 0 0 0 0 1", "surprise = 'nan'"),
        ("0001.jpg 0 0 0 0 1", "6 field(s): '0001.jpg 0 0 0 0 1'"),
        ("../1.jpg 0 0 0 0 0 1", "picture = '../1.jpg'"),
    ],
)
def test_a_line_that_is_no_distribution_is_a_defect(tmp_path: Path, text: str, found: str) -> None:
    root = write(tmp_path, BLEND)
    (root / "distribution.txt").write_text(f"{text}\n")
    assert [(defect.line, defect.found) for defect in read(root).defects] == [(1, found)]


def test_a_picture_twice_and_absent_folders_and_lists_are_named(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", BLEND, BLEND)).defects[0].found == "0001.jpg again (first in line 1)"
    root = write(tmp_path / "b", BLEND)
    (root / "aligned").rename(root / "faces")
    assert [defect.path for defect in read(root).defects] == ["aligned"]
    (root / "distribution.txt").unlink()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no EmoLabel/distribution\.txt"):
        read(root)


def test_a_picture_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    root = write(tmp_path, BLEND, line("0002", 1, 0, 0, 0, 0, 0))
    (root / "aligned" / "0002_aligned.jpg").unlink()
    assert read(root).failures.select("source_line", "reason").rows() == [(2, "image file missing")]
