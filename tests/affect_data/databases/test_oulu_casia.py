"""Oulu-CASIA: the last frame of a sequence, one camera and one light at a time, and what may be missing."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.oulu_casia import NO_FRAMES, OuluCasia, OuluCasiaOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

CLASSES = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


def write(root: Path, place: str = "OriginalImg/VL/Strong", frames: int = 12) -> Path:
    for name in CLASSES:
        folder = root / place / "P001" / name
        folder.mkdir(parents=True)
        for number in range(frames):
            (folder / f"{number:03d}.jpeg").touch()
    return root


def read(root: Path, **options: object) -> Scan:
    return OuluCasia(OuluCasiaOptions.model_validate(options)).read(DatabaseRoot(root))


def test_the_last_frame_of_a_sequence_shows_the_expression_of_its_folder(tmp_path: Path) -> None:
    scan = read(write(tmp_path))
    assert (scan.defects, scan.losses) == ((), ())
    assert scan.counts == {"people": 1, "sequences": 6}
    assert scan.rows.select("image", "subject", "track", "frame", "expression").row(3) == (
        "OriginalImg/VL/Strong/P001/Happiness/011.jpeg", "P001", "VL/Strong/P001/happiness", 11, "happiness",
    )  # fmt: skip


def test_the_recipe_may_want_three_last_frames_but_no_more(tmp_path: Path) -> None:
    assert read(write(tmp_path), peak_frames=3).rows["frame"].to_list()[:3] == [9, 10, 11]
    with pytest.raises(ValidationError, match="less than or equal to 3"):
        OuluCasiaOptions(peak_frames=4)


def test_one_camera_and_one_light_are_read_at_a_time(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "OriginalImg/NI/Dark", frames=2)
    assert len(read(tmp_path).rows) == 6
    assert set(read(tmp_path, camera="NI", light="Dark").rows["frame"]) == {1}
    with pytest.raises(DatabaseNotFoundError, match="there is no folder OriginalImg/VL/Weak"):
        read(tmp_path, light="Weak")


@pytest.mark.parametrize(
    "place",
    [
        "B_OriginalImg/VL/Strong",
        "B_OriginalImg/OriginalImg/VL/Strong",
        "B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong",
    ],
)
def test_the_archive_may_be_unpacked_into_a_folder_with_its_name(tmp_path: Path, place: str) -> None:
    scan = read(write(tmp_path, place))
    assert (len(scan.rows), scan.rows["image"][0].startswith(f"{place}/P001/")) == (6, True)


def test_what_is_missing_and_what_is_not_read_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    person = tmp_path / "OriginalImg" / "VL" / "Strong" / "P001"
    for file in (person / "Anger").iterdir():
        file.unlink()
    for file in (person / "Fear").iterdir():
        file.unlink()
    (person / "Fear").rmdir()
    (person / "Boredom").mkdir()
    scan = read(tmp_path)
    assert scan.failures["reason"].to_list() == [NO_FRAMES]
    assert scan.losses == ("P001 lacks fear",)
    assert "not read in OriginalImg/VL/Strong/P001: Boredom" in scan.notes


def test_two_frames_of_one_number_and_a_folder_without_sequences_are_defects(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / "OriginalImg" / "VL" / "Strong" / "P001" / "Anger" / "011.png").touch()
    assert "two frames of number 11" in str(read(tmp_path / "a").defects[0])
    (tmp_path / "b" / "OriginalImg" / "VL" / "Strong" / "x").mkdir(parents=True)
    assert [defect.found for defect in read(tmp_path / "b").defects] == ["no sequence"]
