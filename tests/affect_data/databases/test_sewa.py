"""SEWA as AVEC gave it out: labels ten times a second, whatever the frames' rate is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import number_in, write_video

from affect_data.databases.base import Scan
from affect_data.databases.extraction import extract_frames
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.sewa import COLUMNS, Sewa
from affect_data.errors import DatabaseNotFoundError

LINES = ("'Train_DE_01';0.000000;0.1;-0.2;0.3", "'Train_DE_01';0.100000;0.2;-0.3;0.4")


def write(root: Path, *lines: str, name: str = "Train_DE_01", header: str | None = ";".join(COLUMNS)) -> Path:
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / f"{name}.csv").write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    (root / "frames" / name).mkdir(parents=True, exist_ok=True)
    for number in range(3):
        (root / "frames" / name / f"{number:05d}.jpg").touch()
    return root


def read(root: Path) -> Scan:
    return Sewa().read(DatabaseRoot(root))


def test_a_label_has_its_time_and_the_frame_of_its_number(tmp_path: Path) -> None:
    scan = read(write(tmp_path, *LINES))
    assert scan.defects == ()
    assert scan.rows.select("image", "frame", "timestamp", "arousal", "valence", "score_liking", "split").rows() == [
        ("frames/Train_DE_01/00000.jpg", 0, 0.0, 0.1, -0.2, 0.3, "train"),
        ("frames/Train_DE_01/00001.jpg", 1, 0.1, 0.2, -0.3, 0.4, "train"),
    ]


def test_labels_without_a_header_are_the_same_labels(tmp_path: Path) -> None:
    with_header = read(write(tmp_path, *LINES)).rows
    without = read(write(tmp_path, *LINES, header=None)).rows
    assert without["source_line"].to_list() == [1, 2]
    assert without.drop("source_line").equals(with_header.drop("source_line"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("'Train_DE_02';0.2;0;0;0", "name = \"'Train_DE_02'\""),
        ("'Train_DE_01';0.15;0;0;0", "timestamp = '0.15'"),
        ("'Train_DE_01';-0.1;0;0;0", "timestamp = '-0.1'"),
        ("'Train_DE_01';0.1;0;0;0", "the time 0.1 again (first in line 3)"),
        ("'Train_DE_01';0.2;1.5;0;0", "arousal = '1.5'"),
        ("'Train_DE_01';0.2;0;0", "4 field(s): \"'Train_DE_01';0.2;0;0\""),
    ],
)
def test_what_contradicts_the_form_is_a_defect_with_its_line(tmp_path: Path, line: str, found: str) -> None:
    scan = read(write(tmp_path, *LINES, line))
    assert [(d.path, d.line, d.found) for d in scan.defects] == [("labels/Train_DE_01.csv", 4, found)]


def test_labels_belong_to_the_frames_that_are_shown_at_their_times(tmp_path: Path) -> None:
    lines = [f"'Devel_HU_03';{n / 10:.6f};0;0;0" for n in range(12)]
    root = write(tmp_path, *lines, name="Devel_HU_03")
    for path in (root / "frames/Devel_HU_03").iterdir():
        path.unlink()
    (root / "frames/Devel_HU_03").rmdir()
    (root / "frames").rmdir()
    write_video(root / "video" / "Devel_HU_03.avi", range(25), rate=25)
    with pytest.raises(DatabaseNotFoundError, match="Extract them: `affect-data frames sewa"):
        read(root)
    report = extract_frames(Sewa(), DatabaseRoot(root))
    assert (report.total("written"), report.total("labels_without_frame")) == (10, 2)
    scan = read(root)
    assert (len(scan.rows), scan.missing_pictures) == (10, 2)
    for image, time in scan.rows.select("image", "timestamp").iter_rows():
        assert number_in(np.asarray(Image.open(root / image))) == int(time * 25 + 1e-6)
    assert scan.rows["split"].unique().to_list() == ["validation"]


def test_a_file_of_another_name_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    root = write(tmp_path, *LINES)
    (root / "labels" / "Train_DE_1.csv").touch()
    assert read(root).losses == ("labels/Train_DE_1.csv: not read, the official names are like Train_DE_01.csv",)
    (root / "labels" / "Train_DE_01.csv").unlink()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no file such as labels/Train_DE_01\.csv"):
        read(root)
