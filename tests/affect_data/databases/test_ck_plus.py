"""CK+: labels of the last frame, intensities that were not given, first frames as neutral only if wanted, and what can be wrong."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.ck_plus.labels import NOT_CODED
from affect_data.databases.ck_plus.reader import CODED, NO_EXPRESSION, NO_FACS, CkPlus, CkPlusOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

# The file that the ReadMe of the distribution shows: AU9 at D and AU17 at B.
README = "   9.0000000e+00   4.0000000e+00\n   1.7000000e+01   2.0000000e+00\n"
FACS = "FACS/S005/001/S005_001_00000011_facs.txt"
EMOTION = "Emotion/S005/001/S005_001_00000011_emotion.txt"
PEAK = "cohn-kanade-images/S005/001/S005_001_00000011.png"


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sequence(root: Path, facs: str | None = README, emotion: str | None = "   3.0000000e+00\n") -> Path:
    """One sequence with frames 1, 2, 10 and 11."""
    for number in (1, 2, 10, 11):
        write(root / f"cohn-kanade-images/S005/001/S005_001_{number:08d}.png")
    for path, text in ((FACS, facs), (EMOTION, emotion)):
        if text is not None:
            write(root / path, text)
    return root


def read(root: Path, exclude: tuple[str, ...] = (), **options: object) -> Scan:
    return CkPlus(CkPlusOptions.model_validate(options)).read(DatabaseRoot(root, exclude))


def test_the_example_of_the_readme_is_read_as_it_says(tmp_path: Path) -> None:
    scan = read(sequence(tmp_path))
    assert scan.defects == ()
    (row,) = scan.rows.rows(named=True)
    assert {unit for unit in CODED if row[f"au_{unit}"]} == {9, 17}
    assert (row["au_intensity_9"], row["au_intensity_17"], row["au_intensity_12"]) == (4, 2, 0)
    assert (row["expression"], row["subject"], row["track"], row["frame"]) == ("disgust", "S005", "S005_001", 11)
    assert (row["image"], row["source_file"], row["source_line"]) == (PEAK, FACS, 1)


def test_an_intensity_of_0_was_not_given_and_the_action_unit_is_present(tmp_path: Path) -> None:
    (row,) = read(sequence(tmp_path, facs="   1.2000000e+01   0.0000000e+00\n")).rows.rows(named=True)
    assert (row["au_12"], row["au_intensity_12"], row["au_9"], row["au_intensity_9"]) == (1, None, 0, 0)


def test_an_action_unit_that_is_not_coded_is_counted_and_gives_no_label(tmp_path: Path) -> None:
    (row,) = read(sequence(tmp_path, facs=f"{README}   6.4000000e+01   0.0000000e+00\n")).rows.rows(named=True)
    assert (row["au_9"], row["au_masked"]) == (1, NOT_CODED)
    assert "au_64" not in row


def test_without_a_file_of_one_kind_its_labels_are_missing_with_the_reason(tmp_path: Path) -> None:
    (row,) = read(sequence(tmp_path / "a", emotion=None)).rows.rows(named=True)
    assert (row["expression"], row["expression_masked"], row["au_9"]) == (None, NO_EXPRESSION, 1)
    (row,) = read(sequence(tmp_path / "b", facs=None)).rows.rows(named=True)
    assert (row["au_9"], row["au_masked"], row["expression"], row["source_file"]) == (None, NO_FACS, "disgust", EMOTION)


def test_an_empty_facs_file_says_that_no_action_unit_is_present(tmp_path: Path) -> None:
    (row,) = read(sequence(tmp_path, facs="\n")).rows.rows(named=True)
    assert {row[f"au_{unit}"] for unit in CODED} == {0}


def test_first_frames_are_neutral_faces_only_if_the_recipe_wants_them(tmp_path: Path) -> None:
    sequence(tmp_path)
    assert len(read(tmp_path).rows) == 1
    rows = read(tmp_path, neutral_frames=2).rows.sort("frame")
    assert rows.select("frame", "expression", "au_9", "au_intensity_9").rows() == [
        (1, "neutral", 0, 0.0),
        (2, "neutral", 0, 0.0),
        (11, "disgust", 1, 4.0),
    ]
    assert len(read(tmp_path, neutral_frames=3).rows) == 4
    with pytest.raises(ValidationError, match="less than or equal to 3"):
        CkPlusOptions(neutral_frames=4)


def test_sequences_without_an_expression_can_be_left_out(tmp_path: Path) -> None:
    sequence(tmp_path)
    write(tmp_path / "FACS/S005/002/S005_002_00000009_facs.txt", README)
    write(tmp_path / "cohn-kanade-images/S005/002/S005_002_00000009.png")
    assert len(read(tmp_path).rows) == 2
    scan = read(tmp_path, sequences="expression")
    assert scan.rows["track"].to_list() == ["S005_001"]
    assert "1 sequences without an expression are left out by the recipe" in scan.notes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9 4 1\n", "'9 4 1'"),
        ("9\n", "'9'"),
        ("x 4\n", "action unit = 'x'"),
        ("9.5 4\n", "action unit = '9.5'"),
        ("9 6\n", "intensity = '6'"),
        ("9 2.5\n", "intensity = '2.5'"),
        ("9 4\n9 3\n", "a second intensity of AU9 = 3"),
    ],
)
def test_a_line_that_is_no_action_unit_with_intensity_is_a_defect(tmp_path: Path, text: str, found: str) -> None:
    (defect,) = read(sequence(tmp_path, facs=text)).defects
    assert (defect.path, defect.line, defect.found) == (FACS, text.count("\n"), found)


@pytest.mark.parametrize(
    ("text", "found"),
    [("8\n", "expression = '8'"), ("", "an empty file"), ("3 4\n", "'3 4'"), ("3\n4\n", "a second line '4'")],
)
def test_a_file_of_the_expression_is_one_number_from_0_to_7(tmp_path: Path, text: str, found: str) -> None:
    (defect,) = read(sequence(tmp_path, emotion=text)).defects
    assert (defect.path, defect.found) == (EMOTION, found)


def test_the_same_line_twice_is_one_action_unit(tmp_path: Path) -> None:
    scan = read(sequence(tmp_path, facs=README + README))
    assert (scan.defects, scan.rows["au_intensity_9"].to_list()) == ((), [4])


def test_a_sequence_with_an_excluded_line_is_left_out(tmp_path: Path) -> None:
    scan = read(sequence(tmp_path), exclude=(f"{FACS}:2",))
    assert (len(scan.rows), len(scan.failures), scan.defects) == (0, 1, ())


def test_files_of_other_names_and_places_are_named(tmp_path: Path) -> None:
    sequence(tmp_path)
    write(tmp_path / "FACS/S005/001/S005_002_00000011_facs.txt", README)
    write(tmp_path / "FACS/S005/001/readme.txt")
    scan = read(tmp_path)
    assert [defect.path for defect in scan.defects] == ["FACS/S005/001/S005_002_00000011_facs.txt"]
    assert scan.losses == (
        "FACS/S005/001/readme.txt: not read, the official names are like S005_001_00000011_facs.txt",
    )


def test_archives_may_be_unpacked_into_folders_of_their_names(tmp_path: Path) -> None:
    sequence(tmp_path)
    for inner, outer in (
        ("FACS", "FACS_labels"), ("Emotion", "Emotion_labels"), ("cohn-kanade-images", "extended-cohn-kanade-images"),
    ):  # fmt: skip
        (tmp_path / outer).mkdir()
        (tmp_path / inner).rename(tmp_path / outer / inner)
    scan = read(tmp_path)
    assert (scan.defects, scan.rows["image"].to_list()) == ((), [f"extended-cohn-kanade-images/{PEAK}"])
    assert CkPlus().recognises(DatabaseRoot(tmp_path))


def test_frames_after_the_labelled_one_are_noted_and_absent_pictures_are_failures(tmp_path: Path) -> None:
    sequence(tmp_path)
    write(tmp_path / "cohn-kanade-images/S005/001/S005_001_00000012.png")
    assert "1 sequences go on after the labelled frame, such as S005_001" in read(tmp_path).notes
    (tmp_path / PEAK).unlink()
    assert read(tmp_path).failures["reason"].to_list() == ["image file missing"]


def test_without_pictures_or_labels_the_place_is_named(tmp_path: Path) -> None:
    sequence(tmp_path)
    (tmp_path / "cohn-kanade-images").rename(tmp_path / "pictures")
    assert [defect.path for defect in read(tmp_path).defects] == ["cohn-kanade-images"]
    for kind in ("FACS", "Emotion"):
        (tmp_path / kind).rename(tmp_path / f"no_{kind}")
    with pytest.raises(
        DatabaseNotFoundError, match=r"there is no file such as FACS/S005/001/S005_001_00000011_facs\.txt"
    ):
        read(tmp_path)


def test_the_folds_are_the_published_ones() -> None:
    # First and last lines of the list of Emotion-FAN.
    assert CkPlus.literature_folds["fold1"] == (
        "S005", "S035", "S054", "S064", "S074", "S084", "S094", "S106", "S116", "S130", "S147", "S501",
    )  # fmt: skip
    assert CkPlus.literature_folds["fold10"][:5] == ("S034", "S053", "S063", "S073", "S083")
    assert sum(map(len, CkPlus.literature_folds.values())) == 118


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from((*CODED, 28, 43, 61)), st.integers(0, 5)))
def test_what_a_file_lists_is_what_is_read(tmp_path: Path, levels: dict[int, int]) -> None:
    text = "".join(f" {unit:.7e}\t{level:.7e} \n\n" for unit, level in levels.items())
    (row,) = read(sequence(tmp_path, facs=text)).rows.rows(named=True)
    for unit in CODED:
        assert row[f"au_{unit}"] == int(unit in levels)
        assert row[f"au_intensity_{unit}"] == (levels.get(unit, 0) if levels.get(unit) != 0 else None)
    assert (row["au_masked"] == NOT_CODED) == bool(levels.keys() - set(CODED))
