from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.bp4d.reader import FOLDS, SEQUENCES, SUBJECTS, Bp4d, Bp4dOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import bp4d as demo
from affect_data.demo.coded_sequences import CODED
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError

HEADER = ",".join(map(str, range(100)))
OCCURRENCE = "AUCoding/AU_OCC/F001_T1.csv"
INTENSITY = "AU Intensity Codes3.0/AU06/F001_T1.csv"
PICTURES = "Sequences(2D+3D)"
FIRST = {1: 1, 2: 0, 4: 0, 6: 1, 12: 1, 23: 0}
SECOND = {1: 0, 2: 0, 4: 9, 6: 1, 12: 9, 23: 1}


def line(frame: int | str, codes: dict[int, int | str]) -> str:
    """An occurrence line: 9 in every column for which no code is given."""
    return ",".join(map(str, (frame, *(codes.get(unit, 9) for unit in range(1, 100)))))


def write(path: Path, lines: list[str], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{text}{end}" for text in lines).encode())


def write_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (3, 4)).save(folder / name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two frames of F001's first task, with occurrence of six action units and the intensity of AU6 (3, then not coded)."""
    write(tmp_path / OCCURRENCE, [HEADER, line(2440, FIRST), line(2441, SECOND)])
    write(tmp_path / INTENSITY, ["2440,3", "2441,9"])
    write_pictures(tmp_path / PICTURES / "F001/T1", ["2440.jpg", "2441.jpg"])
    return tmp_path


def read(root: Path, **options: object) -> Scan:
    exclude = options.pop("exclude", ())
    return Bp4d(Bp4dOptions(**options)).read(DatabaseRoot(root, exclude))


def only_defect(scan: Scan) -> str:
    assert len(scan.defects) == 1, scan.defects
    return str(scan.defects[0])


# ---------------------------------------------------------------- what the codes mean


def test_a_number_is_a_number_however_it_is_spelt(root):
    plain = read(root).rows
    spelt = [
        HEADER,
        *(",".join(f"{field}.0" for field in text.split(",")) for text in (line(2440, FIRST), line(2441, SECOND))),
    ]
    write(root / OCCURRENCE, spelt)
    write(root / INTENSITY, ['"2440", 3.00', "2441.0,9.0"])
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows.equals(plain)


@pytest.mark.parametrize("name", [f"{INTENSITY[:-4]}_v2.csv", f"{OCCURRENCE[:-4]}_v2.csv"])
def test_a_code_file_with_a_version_in_its_name_is_a_loss_that_names_it(root, name):
    write(root / name, ["2440,3"])
    assert read(root).losses == (f"{name}: not read, the official names are like F001_T1.csv",)


def test_column_n_is_action_unit_n_and_nine_is_neither_present_nor_absent(root):
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows["frame"].to_list() == [2440, 2441]
    found = {unit: scan.rows[f"au_{unit}"].to_list() for unit in FIRST}
    assert found == {1: [1, 0], 2: [0, 0], 4: [0, None], 6: [1, 1], 12: [1, None], 23: [0, 1]}
    assert scan.rows["subject"].to_list() == ["F001", "F001"]
    assert scan.rows["track"].to_list() == ["F001_T1", "F001_T1"]
    assert scan.rows["image"].to_list() == [f"{PICTURES}/F001/T1/2440.jpg", f"{PICTURES}/F001/T1/2441.jpg"]
    assert scan.rows.select("source_file", "source_line").rows() == [(OCCURRENCE, 2), (OCCURRENCE, 3)]
    assert (scan.lines, scan.annotation_files) == (2, (INTENSITY, OCCURRENCE))


def test_an_action_unit_that_no_file_codes_is_missing_without_a_reason(root):
    rows = read(root).rows
    for unit in (5, 7, 11, 27, 39):
        assert rows[f"au_{unit}"].to_list() == [None, None]
    assert "au_25" not in rows.columns
    assert rows["au_masked"][0] is None


def test_a_nine_is_counted_where_the_action_unit_is_coded_elsewhere(root):
    assert read(root).rows["au_masked"].to_list() == [
        None,
        "an occurrence is 9, not coded; an intensity is 9, not coded",
    ]


def test_intensity_is_kept_apart_from_occurrence_and_neither_is_derived(root):
    write(root / "AU Intensity Codes3.0/AU12/F001_T1.csv", ["2440,0", "2441,5"])
    rows = read(root).rows
    assert rows["au_intensity_6"].to_list() == [3, None]
    assert rows["au_6"].to_list() == [1, 1]
    assert rows["au_intensity_12"].to_list() == [0, 5]
    assert rows["au_12"].to_list() == [1, None]
    assert rows["au_intensity_10"].to_list() == [None, None]


def test_a_column_that_bp4d_does_not_code_gives_no_label(root):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST | {25: 1}), line(2441, FIRST)])
    scan = read(root)
    assert scan.defects == ()
    assert "au_25" not in scan.rows.columns
    assert scan.rows["au_masked"].to_list() == [
        "AU25 is not one of the coded action units",
        "an intensity is 9, not coded",
    ]


def test_columns_beyond_the_action_units_are_not_looked_at(root):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST | {70: 3, 3: 1}), line(2441, FIRST)])
    scan = read(root)
    assert (scan.defects, scan.rows["au_masked"][0]) == ((), None)


def test_a_frame_in_which_nothing_is_coded_is_a_failure(root):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST), line(2441, {})])
    scan = read(root)
    assert scan.failures.rows() == [(OCCURRENCE, 3, f"{PICTURES}/F001/T1/2441.jpg", "no action unit is coded")]
    assert (len(scan.rows), scan.lines) == (1, 2)


def test_a_frame_that_is_marked_as_occluded_is_a_failure_unless_the_recipe_keeps_it(root):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST | {99: 1}), line(2441, FIRST | {99: 0})])
    scan = read(root)
    assert scan.rows["frame"].to_list() == [2441]
    assert scan.failures["reason"].to_list() == ["marked as occluded"]
    assert read(root, keep_occluded=True).rows["au_1"].to_list() == [1, 1]


def test_a_header_may_name_the_action_units_even_if_its_first_cell_repeats_one(root):
    write(root / "AUCoding/AU_OCC/F013_T2.csv", ["1,1,2,4,17", "7,0,1,9,1"])
    write_pictures(root / PICTURES / "F013/T2", ["0007.jpg"])
    rows = read(root).rows.filter(pl.col("subject") == "F013")
    assert {unit: rows[f"au_{unit}"].item() for unit in (1, 2, 4, 17, 6)} == {1: 0, 2: 1, 4: None, 17: 1, 6: None}
    assert rows["au_masked"].item() == (
        "an occurrence is 9, not coded; AU6, AU12, AU23 has no column; intensity file of AU6 missing"
    )


# ---------------------------------------------------------------- which files there are


@pytest.mark.parametrize("folder", ["AUCoding", "AUCoding/AUCoding", "aucoding/au_occ", "AU_OCC"])
def test_occurrence_files_are_found_in_every_known_folder(root, folder):
    text = (root / OCCURRENCE).read_text()
    (root / OCCURRENCE).unlink()
    (root / "AUCoding/AU_OCC").rmdir()
    (root / "AUCoding").rmdir()
    write(root / folder / "F001_T1.csv", text.splitlines())
    assert read(root).rows["au_1"].to_list() == [1, 0]


@pytest.mark.parametrize(
    "path",
    ["AUCoding/AU_INT/AU06/F001_T1_AU06.csv", "AU_INT/AU06/F001_T1.csv", "AU Intensity Codes 3.0/AU6/f001_t1.csv"],
)
def test_intensity_files_are_found_in_every_known_folder(root, path):
    (root / INTENSITY).unlink()
    write(root / path, ["2440,4"])
    assert read(root).rows["au_intensity_6"].to_list() == [4, None]


@pytest.mark.parametrize("container", ["Sequences_2D+3D", "BP4D-training", "sequences", "."])
def test_pictures_are_found_in_every_known_folder(root, container):
    target = root / container / "F001"
    target.parent.mkdir(exist_ok=True)
    (root / PICTURES / "F001").rename(target)
    images = read(root).rows["image"].to_list()
    assert images == [f"{container}/F001/T1/{number}.jpg".removeprefix("./") for number in (2440, 2441)]


@pytest.mark.parametrize("names", [["0007.jpg", "0008.jpg"], ["007.jpg", "008.jpg"], ["7.jpg", "8.jpg"]])
def test_numbers_of_any_width_are_the_frames(tmp_path, names):
    write(tmp_path / "AUCoding/AU_OCC/M010_T3.csv", [HEADER, line(7, FIRST), line(8, SECOND), line(9, FIRST)])
    write_pictures(tmp_path / PICTURES / "M010/T3", names)
    scan = read(tmp_path)
    assert scan.rows["image"].to_list() == [f"{PICTURES}/M010/T3/{name}" for name in names]
    lost = f"{PICTURES}/M010/T3/{'9'.zfill(len(names[0]) - 4)}.jpg"
    assert scan.failures.rows() == [("AUCoding/AU_OCC/M010_T3.csv", 4, lost, "image file missing")]


def test_a_picture_that_is_missed_is_named_by_the_shortest_number_of_its_folder(tmp_path):
    write(tmp_path / OCCURRENCE, [HEADER, line(8, FIRST), line(10, SECOND)])
    write_pictures(tmp_path / PICTURES / "F001/T1", ["9.jpg", "10.jpg"])
    assert read(tmp_path).failures["image"].to_list() == [f"{PICTURES}/F001/T1/8.jpg"]


def test_pictures_outside_the_coded_part_are_no_rows_and_meshes_no_pictures(root):
    write_pictures(root / PICTURES / "F001/T1", ["0000.jpg", "2442.jpg"])
    (root / PICTURES / "F001/T1/2440.obj").touch()
    scan = read(root)
    assert len(scan.rows) == 2
    assert "pictures of 1 sequences; 2 of them are not coded and not read" in scan.notes


def test_a_missing_intensity_file_is_missing_and_never_zero(root):
    write(root / "AUCoding/AU_OCC/F002_T1.csv", [HEADER, line(1, FIRST)])
    write_pictures(root / PICTURES / "F002/T1", ["0001.jpg"])
    scan = read(root)
    row = scan.rows.filter(pl.col("subject") == "F002").row(0, named=True)
    assert (row["au_intensity_6"], row["au_6"]) == (None, 1)
    assert row["au_masked"] == "intensity file of AU6 missing"
    assert "1 sequence(s) have no intensity file of AU06: F002_T1" in scan.notes


def test_a_release_without_intensities_gives_no_reason_for_each_frame(root):
    (root / INTENSITY).unlink()
    assert read(root).rows["au_masked"].to_list() == [None, "an occurrence is 9, not coded"]


def test_a_sequence_with_intensities_alone_has_no_occurrence(root):
    write(root / "AU Intensity Codes3.0/AU06/F002_T1.csv", ["1,0", "2,2"])
    write_pictures(root / PICTURES / "F002/T1", ["0001.jpg", "0002.jpg"])
    scan = read(root)
    rows = scan.rows.filter(pl.col("subject") == "F002")
    assert rows["au_intensity_6"].to_list() == [0, 2]
    assert rows["au_6"].to_list() == [None, None]
    assert rows["au_masked"].to_list() == ["occurrence file missing"] * 2
    assert rows.select("source_file", "source_line").row(1) == ("AU Intensity Codes3.0/AU06/F002_T1.csv", 2)
    assert "1 sequence(s) have intensities alone, no occurrence file: F002_T1" in scan.notes


def test_a_frame_that_one_kind_of_file_does_not_list_is_missing_there_only(root):
    write(root / INTENSITY, ["2441,1", "2442,2"])
    write_pictures(root / PICTURES / "F001/T1", ["2442.jpg"])
    rows = read(root).rows
    assert rows["frame"].to_list() == [2440, 2441, 2442]
    assert rows["au_intensity_6"].to_list() == [None, 1, 2]
    assert rows["au_6"].to_list() == [1, 1, None]
    assert rows["au_masked"].to_list() == [
        "frame not in the intensity file of AU6",
        "an occurrence is 9, not coded",
        "frame not in the occurrence file",
    ]


def test_a_sequence_without_pictures_gives_failures_and_a_note(root):
    write(root / "AUCoding/AU_OCC/M018_T8.csv", [HEADER, line(12, FIRST)])
    scan = read(root)
    assert scan.failures.rows() == [
        ("AUCoding/AU_OCC/M018_T8.csv", 2, f"{PICTURES}/M018/T8/0012.jpg", "image file missing")
    ]
    assert "no pictures of 1 coded sequence(s): M018_T8" in scan.notes


def test_windows_line_ends_read_alike(root):
    rows = read(root).rows
    for path in (OCCURRENCE, INTENSITY):
        write(root / path, (root / path).read_text().splitlines(), end="\r\n")
    assert read(root).rows.equals(rows)


# ---------------------------------------------------------------- how pictures are numbered


def test_pictures_that_count_one_lower_are_a_defect_until_the_recipe_decides(tmp_path):
    write(tmp_path / OCCURRENCE, [HEADER, line(1, FIRST), line(2, SECOND)])
    write_pictures(tmp_path / PICTURES / "F001/T1", ["0000.jpg", "0001.jpg"])
    assert only_defect(read(tmp_path)) == (
        "Sequences(2D+3D): found pictures of the same number for 1 of 2 coded frames, of one lower for 2; expected pictures that have the "
        "number of their frame; to fix: compare a few with their codes, then say `frame_offset: 0` or `frame_offset: -1` under "
        "`databases: bp4d:` in the recipe"
    )
    lower = read(tmp_path, frame_offset=-1)
    assert lower.rows.select(pl.col("image").str.tail(8), "frame", "au_23").rows() == [
        ("0000.jpg", 1, 0), ("0001.jpg", 2, 1),
    ]  # fmt: skip
    same = read(tmp_path, frame_offset=0)
    assert same.rows.select(pl.col("image").str.tail(8), "au_23").rows() == [("0001.jpg", 0)]
    assert same.failures["image"].to_list() == [f"{PICTURES}/F001/T1/0002.jpg"]


def test_a_picture_zero_alone_does_not_shift_the_frames(tmp_path):
    write(tmp_path / OCCURRENCE, [HEADER, line(1, FIRST), line(2, SECOND)])
    write_pictures(tmp_path / PICTURES / "F001/T1", ["0000.jpg", "0001.jpg", "0002.jpg"])
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows["image"].str.tail(8).to_list() == ["0001.jpg", "0002.jpg"]


def test_two_pictures_of_one_number_are_a_defect(root):
    write_pictures(root / PICTURES / "F001/T1", ["02440.jpg"])
    assert "F001/T1: found two pictures of number 2440: 02440.jpg and 2440.jpg" in only_defect(read(root))


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (lambda root: None, "the folder is empty"),
        (lambda root: root.rmdir(), "the folder does not exist"),
        (lambda root: (root / "label.lst").touch(), "there is no file such as AUCoding/AU_OCC/F001_T1.csv"),
        (lambda root: (root / "AUCoding").mkdir(), "there is no file such as AUCoding/AU_OCC/F001_T1.csv"),
        (
            lambda root: write(root / OCCURRENCE, [HEADER, line(1, FIRST)]),
            "it holds code files, but no pictures such as Sequences(2D+3D)/F001/T1/0001.jpg.",
        ),
    ],
)
def test_a_wrong_root_shows_the_expected_layout(tmp_path, prepare, because):
    root = tmp_path / "bp4d"
    root.mkdir()
    prepare(root)
    with pytest.raises(DatabaseNotFoundError) as caught:
        read(root)
    assert because in str(caught.value)
    assert "AUCoding/AU_OCC/F001_T1.csv" in str(caught.value)


def test_videos_instead_of_pictures_are_named(tmp_path):
    write(tmp_path / OCCURRENCE, [HEADER, line(1, FIRST)])
    (tmp_path / "2D").mkdir()
    (tmp_path / "2D/2F01_01.avi").touch()
    with pytest.raises(
        DatabaseNotFoundError, match=r"no pictures such as .*the 1 videos, such as 2D/2F01_01\.avi, are not read"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(2441, SECOND | {6: 2}), "F001_T1.csv:3: found occurrence of AU6 = '2'; expected one of 0, 1, 9; to fix: correct the line"),
        (line(2441, SECOND | {6: ""}), "F001_T1.csv:3: found occurrence of AU6 = ''"),
        (line(2441, SECOND | {39: -1}), "F001_T1.csv:3: found occurrence of AU39 = '-1'"),
        (line(2441, SECOND | {99: 2}), "F001_T1.csv:3: found occurrence of AU99 = '2'"),
        (line(2440, SECOND), "F001_T1.csv:3: found frame 2440 again; expected one line for each frame"),
        (line(0, SECOND), "F001_T1.csv:3: found frame = '0'; expected a frame number from 1"),
        (line("x", SECOND), "F001_T1.csv:3: found frame = 'x'"),
        ("2441,0,1", "F001_T1.csv:3: found 3 field(s): '2441,0,1'; expected 100 field(s): frame,"),
    ],
)  # fmt: skip
def test_one_bad_occurrence_line_is_one_defect_with_its_line(root, text, message):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST), text])
    assert message in only_defect(read(root))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2441,6", "AU06/F001_T1.csv:2: found intensity of AU6 = '6'; expected one of 0, 1, 2, 3, 4, 5, 9; to fix: correct the line"),
        ("2441,", "AU06/F001_T1.csv:2: found intensity of AU6 = ''"),
        ("2441,2.5", "AU06/F001_T1.csv:2: found intensity of AU6 = '2.5'"),
        ("2440,1", "AU06/F001_T1.csv:2: found frame 2440 again"),
        ("2441", "AU06/F001_T1.csv:2: found 1 field(s): '2441'; expected 2 field(s): frame,intensity of AU6"),
        ("-1,3", "AU06/F001_T1.csv:2: found frame = '-1'"),
    ],
)  # fmt: skip
def test_one_bad_intensity_line_is_one_defect_with_its_line(root, text, message):
    write(root / INTENSITY, ["2440,3", text])
    assert message in only_defect(read(root))


@pytest.mark.parametrize("header", ["frame,AU1,AU2", "0,1,1,2", "0,1,2,100", "2440", ""])
def test_a_header_that_does_not_name_action_units_is_a_defect(root, header):
    write(root / OCCURRENCE, [header, line(2440, FIRST)])
    scan = read(root)
    assert scan.defects[0].line == 1
    assert scan.defects[0].found.startswith("a header '...")
    assert scan.defects[0].expected.startswith("0,1,2,...,99, or")
    assert OCCURRENCE in scan.annotation_files


@pytest.mark.parametrize("name", ["F024_T1", "M019_T1", "F001_T9"])
def test_a_sequence_of_bp4d_plus_is_a_defect(root, name):
    write(root / f"AUCoding/AU_OCC/{name}.csv", [HEADER, line(1, FIRST)])
    message = only_defect(read(root))
    assert f"{name}.csv: found sequence {name}; expected one of F001 to F023 and M001 to M018, with T1 to T8" in message
    assert "BP4D+, whose people have the same names but are others" in message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("AU04/F001_T1.csv", "AU Intensity Codes3.0/AU04: found intensities of AU4; expected folders AU06, AU10, AU12, AU14, AU17; to fix: remove"),
        ("AU06/F001_T1_AU12.csv", "F001_T1_AU12.csv: found a file of AU12 of F001_T1; expected one file of AU6 for each sequence"),
        ("AU06/F001_T1_AU06.csv", "F001_T1_AU06.csv: found a file of AU6 of F001_T1; expected one file of AU6"),
        ("AU06/F030_T1.csv", "AU06/F030_T1.csv: found sequence F030_T1"),
    ],
)  # fmt: skip
def test_an_intensity_file_that_does_not_belong_is_a_defect(root, path, message):
    write(root / "AU Intensity Codes3.0" / path, ["2440,1"])
    assert message in only_defect(read(root))


def test_all_bad_lines_are_listed_at_once(root):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST | {1: 5}), line(2441, FIRST | {2: 7, 4: 8})])
    write(root / INTENSITY, ["2440,3", "2441,7"])
    assert [(defect.path, defect.line) for defect in read(root).defects] == [
        (INTENSITY, 2), (OCCURRENCE, 2), (OCCURRENCE, 3), (OCCURRENCE, 3),
    ]  # fmt: skip


def test_an_excluded_line_is_dropped_and_counted(root):
    write(root / OCCURRENCE, [HEADER, line(2440, FIRST | {1: 5}), line(2441, FIRST)])
    (root / INTENSITY).unlink()
    scan = read(root, exclude=[f"{OCCURRENCE}:2"])
    assert scan.defects == ()
    assert scan.rows["frame"].to_list() == [2441]
    assert scan.failures["reason"].to_list() == ["excluded by the recipe"]


@pytest.mark.parametrize("options", [{"frame_offset": 1}, {"release": "2"}, {"threshold": 2}])
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        Bp4dOptions(**options)


@settings(max_examples=12)
@given(st.lists(st.sampled_from([0, 1, 9]), min_size=1, max_size=6), st.data())
def test_valid_codes_come_back_and_any_other_token_is_one_defect(tmp_path_factory, codes, data):
    root = tmp_path_factory.mktemp("bp4d")
    write(root / OCCURRENCE, [HEADER, *(line(n, {7: code, 1: 0}) for n, code in enumerate(codes, start=1))])
    write_pictures(root / PICTURES / "F001/T1", [f"{n:04d}.jpg" for n in range(1, len(codes) + 1)])
    assert read(root).rows["au_7"].to_list() == [None if code == 9 else code for code in codes]
    bad = data.draw(
        st.text(st.characters(codec="ascii", exclude_characters=",\r\n")).filter(lambda t: t.strip() not in set("019"))
    )
    at = data.draw(st.integers(1, len(codes)))
    tokens = [bad if n == at else code for n, code in enumerate(codes, start=1)]
    write(root / OCCURRENCE, [HEADER, *(line(n, {7: token, 1: 0}) for n, token in enumerate(tokens, start=1))])
    assert [(defect.path, defect.line) for defect in read(root).defects] == [(OCCURRENCE, at + 1)]


# ---------------------------------------------------------------- people and folds


def test_the_parts_are_disjoint_and_hold_all_people():
    official = {f"F{number:03d}" for number in range(1, 24)} | {f"M{number:03d}" for number in range(1, 19)}
    assert set(SUBJECTS) == official
    assert len(SUBJECTS) == sum(map(len, FOLDS.values())) == 41
    assert [len(part) for part in FOLDS.values()] == [14, 14, 13]
    assert len(SEQUENCES) == 328


# ---------------------------------------------------------------- the demo


def test_the_demo_is_read_without_defects_and_as_it_was_drawn(tmp_path):
    placed = demo.write(tmp_path, FaceSampler(0), 150).faces
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.failures["reason"].to_list() == ["image file missing"]
    assert len(scan.rows) == len(placed) == 149
    truth = {face.image: face.truth for face in placed}
    nines = 0
    for row in scan.rows.iter_rows(named=True):
        face = truth[row["image"]]
        assert row["subject"] == face.subject
        for unit in CODED:
            assert row[f"au_{unit}"] in (None, face.action_unit(unit))
            nines += row[f"au_{unit}"] is None
        for unit in (6, 10, 12, 14, 17):
            assert row[f"au_intensity_{unit}"] in (None, face.intensity(unit))
    assert 0 < nines < 40
    with Image.open(tmp_path / placed[0].image) as picture:
        assert picture.size == (72, 96)


def test_the_demo_has_numbers_of_three_and_four_digits_and_sequences_that_start_at_one(tmp_path):
    rows = read_demo(tmp_path, 150)
    digits = dict(rows.select("subject", pl.col("image").str.extract(r"(\d+)\.jpg$").str.len_chars()).rows())
    assert {digits[subject] for subject in ("M009", "M010")} == {3}
    assert digits["F001"] == 4
    first = rows.group_by("track").agg(pl.col("frame").min())["frame"]
    assert 0 < (first == 1).sum() < len(first)


def test_the_demo_has_people_of_all_parts_and_never_more_than_eight_tasks(tmp_path):
    rows = read_demo(tmp_path, 150)
    people = set(rows["subject"])
    assert all(people & set(part) for part in FOLDS.values())
    assert set(demo.FORM.people) == set(SUBJECTS)
    assert set(rows["track"]) <= set(SEQUENCES)


def read_demo(root: Path, faces: int) -> pl.DataFrame:
    demo.write(root, FaceSampler(3), faces)
    return read(root).rows


def test_the_demo_is_the_same_for_the_same_seed(tmp_path):
    for name in ("first", "second"):
        demo.write(tmp_path / name, FaceSampler(5), 60)
    first, second = (
        sorted(path for path in (tmp_path / name).rglob("*.*") if path.is_file()) for name in ("first", "second")
    )
    assert [path.relative_to(tmp_path / "first") for path in first] == [
        path.relative_to(tmp_path / "second") for path in second
    ]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(first, second, strict=True))
