import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.build.harmonise import harmonise
from affect_data.build.recipe import SplitOptions
from affect_data.databases.base import Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.unbc.files import SUBJECTS
from affect_data.databases.unbc.reader import Unbc, UnbcOptions
from affect_data.demo import unbc as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError

UNITS = (4, 6, 7, 9, 10, 12, 20, 25, 26, 43)
SEQUENCE = "042-ll042/ll042t1aaaff"
FOUR_AT_TWO = "   4.0000000e+00   2.0000000e+00   0.0000000e+00   0.0000000e+00\n"
TWELVE_AT_FIVE = "   1.2000000e+01   5.0000000e+00   0.0000000e+00   0.0000000e+00\n"


def facs(number: int) -> str:
    return f"Frame_Labels/FACS/{SEQUENCE}/ll042t1aaaff{number:03d}_facs.txt"


def pspi(number: int) -> str:
    return facs(number).replace("FACS", "PSPI")


def picture(number: int) -> str:
    return f"Images/{SEQUENCE}/ll042t1aaaff{number:03d}.png"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three frames of one sequence: at rest; AU4 at 2; AU4 at 2 and AU12 at 5. Pain scores 0, 2, 2."""
    for number, lines, score in ((1, "", 0), (2, FOUR_AT_TWO, 2), (3, FOUR_AT_TWO + TWELVE_AT_FIVE, 2)):
        write(tmp_path / facs(number), lines)
        write(tmp_path / pspi(number), f"   {score}.0000000e+00\n")
        write_picture(tmp_path / picture(number))
    return tmp_path


def read(root: Path, **options: object) -> Scan:
    exclude = options.pop("exclude", ())
    return Unbc(UnbcOptions(**options)).read(DatabaseRoot(root, exclude))


def only_defect(scan: Scan) -> str:
    assert len(scan.defects) == 1, scan.defects
    return str(scan.defects[0])


# ---------------------------------------------------------------- what the files mean


def test_what_a_file_lists_is_present_and_what_it_does_not_list_is_absent(root):
    scan = read(root)
    assert scan.defects == ()
    intensities = {unit: scan.rows[f"au_intensity_{unit}"].to_list() for unit in UNITS}
    assert intensities == {unit: [0, 0, 0] for unit in UNITS} | {4: [0, 2, 2], 12: [0, 0, 5]}
    occurrences = {unit: scan.rows[f"au_{unit}"].to_list() for unit in UNITS}
    assert occurrences == {unit: [0, 0, 0] for unit in UNITS} | {4: [0, 1, 1], 12: [0, 0, 1]}
    assert scan.rows["au_masked"].to_list() == [None] * 3


def test_an_empty_file_is_a_face_at_rest_and_a_missing_file_is_no_label(root):
    (root / facs(1)).unlink()
    (root / facs(2)).write_text("")
    rows = read(root).rows
    assert rows["frame"].to_list() == [1, 2, 3]
    for unit in UNITS:
        assert rows[f"au_{unit}"].to_list()[:2] == rows[f"au_intensity_{unit}"].to_list()[:2] == [None, 0]
    assert rows["au_masked"].to_list() == ["FACS file missing", None, None]
    assert rows["score_pspi"].to_list() == [0, 2, 2]
    assert rows.select("source_file", "source_line").row(0) == (pspi(1), 1)


def test_an_action_unit_that_is_not_coded_has_no_label(root):
    rows = read(root).rows
    assert {name for name in rows.columns if name.startswith("au_") and name[3:].isdigit()} == {
        f"au_{unit}" for unit in UNITS
    }
    unified = harmonise(read(root), Unbc(), "", SplitOptions())
    assert unified.labels["au_mask"].arr.sum().to_list() == [10, 10, 10]


def test_rows_know_the_person_the_sequence_the_frame_and_the_picture(root):
    rows = read(root).rows
    assert rows["subject"].to_list() == ["042-ll042"] * 3
    assert rows["track"].to_list() == ["ll042t1aaaff"] * 3
    assert rows["image"].to_list() == [picture(1), picture(2), picture(3)]
    assert rows.select("source_file", "source_line").rows() == [(facs(1), 1), (facs(2), 1), (facs(3), 1)]


def test_frames_are_numbered_by_the_file_name_and_may_leave_gaps(root):
    write(root / facs(117), TWELVE_AT_FIVE)
    write_picture(root / picture(117))
    rows = read(root).rows
    assert rows["frame"].to_list() == [1, 2, 3, 117]
    assert rows["au_12"].to_list() == [0, 0, 1, 1]


@pytest.mark.parametrize(("threshold", "four", "twelve"), [(1, 2, 1), (2, 2, 1), (3, 0, 1), (5, 0, 1)])
def test_the_threshold_changes_occurrence_and_nothing_else(root, threshold, four, twelve):
    rows = read(root, action_unit_threshold=threshold).rows
    assert (rows["au_4"].sum(), rows["au_12"].sum()) == (four, twelve)
    assert rows["au_intensity_4"].to_list() == [0, 2, 2]


@pytest.mark.parametrize("threshold", [1, 5])
def test_closed_eyes_have_no_levels_so_that_no_threshold_hides_them(root, threshold):
    (root / facs(2)).write_text("   4.3000000e+01   1.0000000e+00   0.0000000e+00   0.0000000e+00\n")
    rows = read(root, action_unit_threshold=threshold).rows
    assert rows["au_43"].to_list() == rows["au_intensity_43"].to_list() == [0, 1, 0]


@pytest.mark.parametrize("options", [{"action_unit_threshold": 0}, {"action_unit_threshold": 6}, {"release": "1"}])
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        UnbcOptions(**options)


def test_the_third_and_the_fourth_number_of_a_line_are_not_read(root):
    (root / facs(2)).write_text(FOUR_AT_TWO.replace("0.0000000e+00   0.0000000e+00", "9.9000000e+01             x"))
    scan = read(root)
    assert (scan.defects, scan.rows["au_intensity_4"].to_list()) == ((), [0, 2, 2])


@pytest.mark.parametrize("text", ["4 2 0 0", "\t4.0 \t 2.00 0 0\r\n", "\n4 2e0 0 0\n\n", "40e-1 .2E1 0 0"])
def test_numbers_are_read_however_they_are_written(root, text):
    (root / facs(2)).write_bytes(text.encode())
    scan = read(root)
    assert (scan.defects, scan.rows["au_intensity_4"].to_list()) == ((), [0, 2, 2])


def test_au27_gives_no_label_and_is_counted(root):
    (root / facs(2)).write_text(FOUR_AT_TWO + FOUR_AT_TWO.replace("4.0000000e+00", "2.7000000e+01"))
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows["au_masked"].to_list() == [None, "AU27 is not one of the coded action units", None]
    assert (scan.rows["au_4"].to_list(), "au_27" in scan.rows.columns) == ([0, 1, 1], False)


# ---------------------------------------------------------------- the pain score


def test_the_pain_score_is_kept_as_the_file_has_it_even_where_it_is_wrong(root):
    (root / pspi(3)).write_text("   1.1000000e+01")
    assert read(root).rows["score_pspi"].to_list() == [0, 2, 11]


def test_a_pain_score_that_the_action_units_do_not_add_up_to_is_a_defect_that_names_both_files(root):
    (root / facs(2)).write_bytes(b"")
    message = only_defect(read(root))
    assert message.startswith(f"{facs(2)}:1: found action units that add up to 0, but the pain score 2 in {pspi(2)}; ")
    assert "AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43" in message
    assert read(root, exclude=(f"{facs(2)}:1",)).defects == ()


def test_a_frame_without_a_pain_score_keeps_its_action_units(root):
    (root / pspi(2)).unlink()
    scan = read(root)
    assert scan.rows["score_pspi"].to_list() == [0, None, 2]
    assert scan.rows["au_4"].to_list() == [0, 1, 1]
    assert scan.notes[1] == "1 frame(s) have no pain score, because their PSPI file is missing or excluded"


def test_without_pain_scores_the_action_units_are_read_and_a_note_says_so(root):
    shutil.rmtree(root / "Frame_Labels/PSPI")
    scan = read(root)
    assert scan.rows["score_pspi"].to_list() == [None] * 3
    assert scan.rows["au_4"].to_list() == [0, 1, 1]
    assert "there is no folder Frame_Labels/PSPI with pain scores" in scan.notes[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ":1: found an empty file"),
        (" \n", ":1: found an empty file"),
        ("   1.7000000e+01\n", ":1: found pain score = '1.7000000e+01'"),
        ("-1", ":1: found pain score = '-1'"),
        ("NaN", ":1: found pain score = 'NaN'"),
        ("2.0 3.0", ":1: found pain score = '2.0 3.0'"),
        ("2.0\n3.0\n", ":2: found a second number = '3.0'"),
    ],
)
def test_a_pain_score_that_is_not_one_number_up_to_16_is_a_defect(root, text, found):
    (root / pspi(2)).write_text(text)
    message = only_defect(read(root))
    assert message.startswith(pspi(2) + found)
    assert "expected one pain score, a number from 0 to 16" in message


# ---------------------------------------------------------------- bad lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "5 2 0 0",
            r"found action unit = '5'; expected one of the coded action units 4, 6, 7, 9, 10, 12, 20, 25, 26, 43",
        ),
        ("x 2 0 0", "found action unit = 'x'; expected one of"),
        ("4.5 2 0 0", "found action unit = '4.5'; expected one of"),
        ("nan 2 0 0", "found action unit = 'nan'; expected one of"),
        ("6 6 0 0", "found intensity of AU6 = '6'; expected a whole number from 0 to 5"),
        ("6 -1 0 0", "found intensity of AU6 = '-1'; expected a whole number from 0 to 5"),
        ("6 1.5 0 0", "found intensity of AU6 = '1.5'; expected a whole number from 0 to 5"),
        ("6 B 0 0", "found intensity of AU6 = 'B'; expected a whole number from 0 to 5"),
        ("43 2 0 0", "found intensity of AU43 = '2'; expected 0 or 1; to fix"),
        ("27 7 0 0", "found intensity of AU27 = '7'; expected a whole number from 0 to 5"),
        ("4 1 0 0", "found an action unit a second time = '4'; expected one line for each action unit"),
        (
            "2.0000000e+00",
            r"found 1 field\(s\) = '2.0000000e\+00'; expected 4 numbers: action unit, intensity, and two",
        ),
        ("6 2 0 0 0", r"found 5 field\(s\) = '6 2 0 0 0'; expected 4 numbers"),
    ],
)
def test_a_line_that_says_what_is_not_documented_is_a_defect(root, line, message):
    (root / facs(2)).write_text(FOUR_AT_TWO + line + "\n")
    found = only_defect(read(root))
    assert found.startswith(f"{facs(2)}:2: ")
    assert re.search(message, found)
    assert "correct the line, or name it under `exclude` in the recipe" in found


def test_all_bad_lines_are_listed_at_once(root):
    (root / facs(1)).write_text("1 1 0 0\n4 9 0 0\n")
    (root / facs(3)).write_text("4 2 0\n")
    (root / pspi(1)).write_text("none\n")
    assert [(defect.path, defect.line) for defect in read(root).defects] == [
        (facs(1), 1), (facs(1), 2), (facs(3), 1), (pspi(1), 1)
    ]  # fmt: skip


def test_an_excluded_line_takes_its_frame_along_since_the_others_would_count_as_absent(root):
    (root / facs(3)).write_text("oops\n" + TWELVE_AT_FIVE)
    scan = read(root, exclude=(f"{facs(3)}:1",))
    assert scan.defects == ()
    assert scan.rows["frame"].to_list() == [1, 2]
    assert scan.failures.rows() == [(facs(3), 1, picture(3), "excluded by the recipe")]
    assert scan.lines == 3


def test_an_excluded_pain_score_is_missing_and_the_frame_stays(root):
    (root / pspi(3)).write_text("oops\n")
    scan = read(root, exclude=(f"{pspi(3)}:1",))
    assert scan.rows["score_pspi"].to_list() == [0, 2, None]
    assert scan.rows["au_12"].to_list() == [0, 0, 1]
    assert scan.failures["source_file"].to_list() == [pspi(3)]


def test_a_file_that_is_no_text_is_a_defect(root):
    (root / facs(2)).write_bytes(b"4 2 \xff 0")
    assert only_defect(read(root)).startswith(f"{facs(2)}: found a byte that is not UTF-8 at offset 4")


# ---------------------------------------------------------------- which files there are


@pytest.mark.parametrize("name", ["Images", "Frame_Labels"])
def test_a_folder_may_lie_in_another_of_its_name(root, name):
    inner = root / "inner"
    (root / name).rename(inner)
    (root / name).mkdir()
    inner.rename(root / name / name)
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows["au_4"].to_list() == [0, 1, 1]
    assert scan.rows["score_pspi"].to_list() == [0, 2, 2]


def test_case_of_names_does_not_matter(root):
    (root / "Frame_Labels").rename(root / "frame_labels")
    (root / "Images/042-ll042").rename(root / "Images/042-LL042")
    scan = read(root)
    assert scan.rows["image"][0] == picture(1).replace("042-ll", "042-LL")
    assert scan.rows["subject"].unique().to_list() == ["042-ll042"]


def test_a_picture_that_is_missing_fails_and_one_without_labels_is_not_read(root):
    (root / picture(2)).unlink()
    write_picture(root / picture(9))
    scan = read(root)
    assert scan.failures.rows() == [(facs(2), 1, picture(2), "image file missing")]
    assert scan.rows["frame"].to_list() == [1, 3]
    assert scan.notes[-1] == "1 picture(s) have no label file and are not read"


def test_two_files_of_one_frame_are_a_defect(root):
    write(root / facs(1).replace("001_", "1_"), "")
    assert "two label files of number 1" in only_defect(read(root))


def test_a_file_that_is_not_named_after_its_sequence_is_a_defect(root):
    write(root / facs(1).replace("ll042t1aaaff001", "jh043t1aaaff001"), "")
    message = only_defect(read(root))
    assert "found a name that does not begin with its sequence's, then a frame number" in message
    assert "expected names such as ll042t1aaaff001_facs.txt" in message


def test_a_folder_of_an_unknown_person_is_a_defect_even_alone(tmp_path):
    write(tmp_path / "Frame_Labels/FACS/001-ab001/ab001t1aaaff/ab001t1aaaff001_facs.txt", "")
    message = only_defect(read(tmp_path))
    assert message.startswith("Frame_Labels/FACS/001-ab001: found a person 001-ab001; expected one of the 25 people")


def test_without_pictures_the_label_files_are_still_checked_where_they_have_defects(root):
    shutil.rmtree(root / "Images")
    (root / facs(2)).write_text("5 1 0 0")
    write(root / "Frame_Labels/FACS/001-ab001/ab001t1aaaff/ab001t1aaaff001_facs.txt", "")
    scan = read(root)
    assert [defect.path for defect in scan.defects] == ["Frame_Labels/FACS/001-ab001", facs(2)]
    assert scan.failures["image"].to_list() == [picture(1), picture(2), picture(3)]
    assert scan.notes[0] == "3 FACS files, 2 of them without an action unit; 3 PSPI files"


def test_files_of_the_operating_system_are_not_looked_at(root):
    write(root / "Frame_Labels/FACS/.DS_Store", "x")
    write(root / f"Frame_Labels/FACS/{SEQUENCE}/._ll042t1aaaff001_facs.txt", "x")
    write(root / f"Frame_Labels/FACS/{SEQUENCE}/Thumbs.db", "x")
    assert read(root).defects == ()


@pytest.mark.parametrize(
    ("gone", "because"),
    [
        ("Frame_Labels", "there is no file such as Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt"),
        ("Frame_Labels/FACS", "there is no file such as Frame_Labels/FACS/042-ll042"),
        ("Images", "it holds label files, but no pictures such as Images/042-ll042/ll042t1aaaff/ll042t1aaaff001.png"),
    ],
)
def test_without_labels_or_pictures_the_database_is_not_found_and_the_layout_is_shown(root, gone, because):
    shutil.rmtree(root / gone)
    write(root / "readme.txt", "x")
    with pytest.raises(DatabaseNotFoundError, match=because) as refused:
        read(root)
    assert "Images/042-ll042/ll042t1aaaff/ll042t1aaaff001.png" in str(refused.value)
    assert "--root unbc=PATH" in str(refused.value)


def test_an_empty_folder_is_not_the_database(tmp_path):
    with pytest.raises(DatabaseNotFoundError, match="the folder is empty"):
        read(tmp_path)


# ---------------------------------------------------------------- properties


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(UNITS), st.integers(0, 5), max_size=10))
def test_any_list_of_action_units_is_read_back(root, listed):
    listed = {unit: min(level, 1) if unit == 43 else level for unit, level in listed.items()}
    (root / facs(2)).write_text(
        "".join(f"{unit:16.7e}{level:16.7e}{0:16.7e}{0:16.7e}\n" for unit, level in listed.items())
    )
    row = read(root).rows.row(1, named=True)
    assert {unit: row[f"au_intensity_{unit}"] for unit in UNITS} == dict.fromkeys(UNITS, 0) | listed


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["", "x", "-4", "1", "28", "400", "4,0", "4.01", "inf", "None", "--"]),
    st.integers(1, 3),
)
def test_any_other_action_unit_gives_one_defect_that_names_its_line(root, token, line):
    lines = ["6 1 0 0", "7 1 0 0", "9 1 0 0"]
    lines[line - 1] = f"{token} 1 0 0"
    (root / facs(2)).write_text("\n".join(lines))
    defect = only_defect(read(root))
    assert defect.startswith(f"{facs(2)}:{line}: ")


# ---------------------------------------------------------------- the demo's files


def test_the_demo_has_every_quirk(tmp_path):
    placed = demo.write(tmp_path, FaceSampler(3), 120).faces
    scan = read(tmp_path)
    assert len(placed) == len(scan.rows) == 118
    assert scan.defects == ()
    assert scan.failures["reason"].to_list() == ["image file missing"]
    assert scan.rows["au_masked"].drop_nulls().to_list() == ["FACS file missing"]
    assert scan.rows["score_pspi"].null_count() == 1
    assert set(scan.rows["subject"]) <= set(SUBJECTS)
    empty = [path for path in tmp_path.glob("Frame_Labels/FACS/*/*/*.txt") if not path.read_bytes()]
    assert 5 < len(empty) < 60


def test_every_pain_score_of_the_demo_is_the_sum_of_its_action_units(tmp_path):
    demo.write(tmp_path, FaceSampler(3), 120)
    compared = 0
    for row in read(tmp_path).rows.iter_rows(named=True):
        level = {unit: row[f"au_intensity_{unit}"] for unit in UNITS}
        if row["score_pspi"] is not None and level[4] is not None:
            total = level[4] + max(level[6], level[7]) + max(level[9], level[10]) + level[43]
            assert row["score_pspi"] == total
            compared += total > 0
    assert compared > 20


# ---------------------------------------------------------------- whole sequences


def test_what_is_said_of_a_sequence_is_said_of_all_its_frames(root):
    track = facs(1).split("/")[-2]
    person = facs(1).split("/")[-3]
    for kind, value in (("VAS", "7.5"), ("OPR", "   3.0000000e+00"), ("AFF", "11")):
        write(root / "Sequence_Labels" / kind / person / f"{track}.txt", f"{value}\n")
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows.select("score_vas", "score_opr", "score_aff", "score_sen").rows() == [(7.5, 3.0, 11.0, None)] * 3
    assert "1 sequence(s) have no file of SEN in Sequence_Labels" in scan.notes
    write(root / "Sequence_Labels" / "OPR" / person / f"{track}.txt", "6\n")
    write(root / "Sequence_Labels" / "VAS" / person / f"{track}.txt", "")
    write(root / "Sequence_Labels" / "AFF" / person / f"{track}.txt", "1\n2\n")
    assert [(d.path.split("/")[1], d.found) for d in read(root).defects] == [
        ("AFF", "a second number = '2'"),
        ("OPR", "line = '6'"),
        ("VAS", "an empty file"),
    ]


def test_without_the_labels_of_sequences_their_folder_is_noted(root):
    scan = read(root)
    assert scan.rows["score_vas"].null_count() == 3
    assert "there is no folder Sequence_Labels with the pain of whole sequences" in scan.notes
