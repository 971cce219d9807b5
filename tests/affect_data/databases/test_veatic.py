"""VEATIC: line n is frame n - 1, valence and arousal in files of their own, and a split only where the recipe asks for it."""

from pathlib import Path

import pytest
from videos import write_video

from affect_data.databases.base import Scan
from affect_data.databases.extraction import extract_frames
from affect_data.databases.ratings import ONLY_ONE
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.veatic import Veatic, VeaticOptions
from affect_data.errors import DatabaseNotFoundError


def write(root: Path, valence: list[str], arousal: list[str], frames: int = 12, video: str = "7") -> Path:
    (root / "rating_averaged").mkdir(exist_ok=True)
    for label, lines in (("valence", valence), ("arousal", arousal)):
        (root / "rating_averaged" / f"{video}_{label}.csv").write_text("".join(f"{line}\n" for line in lines))
    if frames:
        (root / "frames" / video).mkdir(parents=True)
        for number in range(frames):
            (root / "frames" / video / f"{number}.jpg").touch()
    return root


def rising(count: int) -> list[str]:
    return [f"{n},{n / 100}" for n in range(count)]


def read(root: Path, **options: bool) -> Scan:
    return Veatic(VeaticOptions(**options)).read(DatabaseRoot(root))


def test_a_line_belongs_to_the_frame_of_one_number_less_in_the_order_of_numbers(tmp_path: Path) -> None:
    scan = read(write(tmp_path, rising(12), [f"{n},-0.5" for n in range(12)]))
    assert scan.defects == ()
    assert scan.rows["frame"].to_list() == list(range(12))
    assert scan.rows.row(10, named=True) == {
        **scan.rows.row(10, named=True), "image": "frames/7/10.jpg", "valence": 0.1, "arousal": -0.5, "source_line": 11,
    }  # fmt: skip
    assert "split" not in scan.rows.columns


def test_the_owners_split_is_given_only_where_the_recipe_asks_for_it(tmp_path: Path) -> None:
    rows = read(write(tmp_path, rising(10), rising(10)), official_split=True).rows
    assert rows["split"].to_list() == ["train"] * 7 + ["test"] * 3


def test_a_frame_with_one_of_the_two_is_masked_and_a_frame_without_a_picture_fails(tmp_path: Path) -> None:
    scan = read(write(tmp_path, rising(4), rising(3), frames=4))
    assert scan.rows["va_masked"].to_list() == [None, None, None, ONLY_ONE]
    assert scan.rows["valence"].to_list() == [0.0, 0.01, 0.02, None]
    (tmp_path / "frames/7/1.jpg").unlink()
    assert read(tmp_path).failures.select("image", "source_line").rows() == [("frames/7/1.jpg", 2)]


def test_a_value_outside_of_the_range_is_a_defect(tmp_path: Path) -> None:
    (defect,) = read(write(tmp_path, rising(3), ["0,0.1", "1,1.5", "2,0"])).defects
    assert (defect.path, defect.line, defect.found) == ("rating_averaged/7_arousal.csv", 2, "arousal = '1.5'")


def test_frames_come_out_of_the_videos_and_other_files_are_named(tmp_path: Path) -> None:
    root = write(tmp_path, rising(5), rising(5), frames=0)
    write_video(root / "video" / "7.mp4", range(4))
    with pytest.raises(DatabaseNotFoundError, match="Extract them: `affect-data frames veatic"):
        read(root)
    report = extract_frames(Veatic(), DatabaseRoot(root))
    assert (report.total("written"), report.total("labels_without_frame")) == (4, 1)
    (root / "rating_averaged" / "all.csv").touch()
    scan = read(root)
    assert (len(scan.rows), scan.missing_pictures) == (4, 1)
    assert scan.losses == ("rating_averaged/all.csv: not read, the official names are like 0_valence.csv",)
