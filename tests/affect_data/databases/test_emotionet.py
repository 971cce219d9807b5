"""EmotioNet: three forms of one list, 60 columns of which few are coded, unknown action units, and addresses instead of images."""

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from affect_data.build.harmonise import harmonise
from affect_data.build.recipe import SplitOptions
from affect_data.databases.base import Scan
from affect_data.databases.emotionet.reader import CODED, CODED_BY_ALGORITHM, EmotioNet, EmotioNetOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import emotionet as demo
from affect_data.demo.sampler import DEMO_ACTION_UNITS, FaceSampler
from affect_data.demo.truth import PlacedFace
from affect_data.demo.workbook import write_workbook
from affect_data.errors import DatabaseNotFoundError
from affect_data.vocabulary import ACTION_UNITS

SHEET = "EmotioNet_FACS_aws_2020_24600"
TEXTS = "emotioNet_challenge_files_server_challenge_1.2_aws"
SERVER = "https://s3.us-east-2.amazonaws.com/emotionet/Images"
HEADER = ["URL", "URL orig", *(f"'AU {number}'" for number in range(1, 61))]
TO_FIX = "to fix: correct the line, or name it under `exclude` in the recipe"


def cells(name: str, fill: int = 999, **units: object) -> list[object]:
    """A line for the image N_0000000001/<name>.jpg: `fill` in all columns but those given as AU12=1."""
    codes: list[object] = [fill] * 60
    for unit, code in units.items():
        codes[int(unit[2:]) - 1] = code
    return [f"{SERVER}/N_0000000001/{name}.jpg'", f"http://found.example/{name}.jpg'", *codes]


def images(root: Path, *names: str, folder: str = "images/N_0000000001") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(root / folder / f"{name}.jpg")


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_xlsx(path: Path, **sheets: Sequence[Sequence[object]]) -> None:
    """A workbook as openpyxl writes it, with shared strings."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)


def write_list(root: Path, form: str, rows: Sequence[Sequence[object]]) -> Path:
    """The rows as one of the three forms, with a picture for each URL that names one."""
    root.mkdir(exist_ok=True)
    images(root, *(str(row[0]).rpartition("/")[2].partition(".")[0] for row in rows))
    if form == "xlsx":
        write_xlsx(root / f"{SHEET}.xlsx", Sheet1=[HEADER, *rows])
    elif form == "csv":
        write_csv(root / f"{SHEET}.csv", [HEADER, *rows])
    else:
        (root / TEXTS).mkdir(exist_ok=True)
        lines = ["\t".join(str(cell).strip("'") for cell in row) for row in rows]
        (root / TEXTS / "dataFile_0001.txt").write_text("".join(f"{line}\n" for line in lines))
    return root


def read(root: Path, *exclude: str, **options: object) -> Scan:
    return EmotioNet(EmotioNetOptions.model_validate(options)).read(DatabaseRoot(root, exclude))


def reasons(scan: Scan) -> dict[str, int]:
    return dict(scan.failures["reason"].value_counts().iter_rows())


def defects(scan: Scan) -> list[str]:
    return [str(defect) for defect in scan.defects]


FORMS = ("xlsx", "csv", "challenge")
LIST_OF = {"xlsx": f"{SHEET}.xlsx", "csv": f"{SHEET}.csv", "challenge": f"{TEXTS}/dataFile_0001.txt"}
FIRST_LINE = {"xlsx": 2, "csv": 2, "challenge": 1}


# ---------------------------------------------------------------- what the class says


def test_it_says_what_it_labels() -> None:
    assert EmotioNet.tasks() == ("au",)
    assert EmotioNet.action_units == (1, 2, 4, 5, 6, 9, 10, 12, 15, 17, 18, 20, 24, 25, 26, 28, 43)
    assert EmotioNet.expressions == EmotioNet.compound_expressions == ()
    assert "dataFile_0001.txt" in EmotioNet.layout()


def test_the_coded_sets_are_those_of_the_two_challenges_without_the_turns_of_the_head() -> None:
    assert CODED["2018"] == CODED_BY_ALGORITHM == (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26, 43)
    assert set(CODED["2020"]) - set(CODED["2018"]) == {10, 15, 18, 24, 28}
    assert not set(range(51, 57)) & set(CODED["2020"])
    assert set(CODED["2020"]) <= set(ACTION_UNITS)


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize("form", FORMS)
def test_0_and_1_are_labels_and_999_and_minus_1_are_none(tmp_path: Path, form: str) -> None:
    rows = [cells("N_0000000001_00001", AU1=1, AU2=0, AU4=999, AU5=-1), cells("N_0000000001_00002", AU12=0)]
    scan = read(write_list(tmp_path, form, rows), automatic=form == "challenge")
    assert scan.defects == ()
    assert scan.rows.select("image", "source_line", "au_1", "au_2", "au_4", "au_5", "au_12").rows() == [
        ("images/N_0000000001/N_0000000001_00001.jpg", FIRST_LINE[form], 1, 0, None, None, None),
        ("images/N_0000000001/N_0000000001_00002.jpg", FIRST_LINE[form] + 1, None, None, None, None, 0),
    ]
    assert scan.rows["source_file"].unique().to_list() == [LIST_OF[form]]
    assert scan.rows["au_masked"].to_list() == ["some action units unknown"] * 2


def test_a_sheet_that_pandas_wrote_reads_as_the_official_one(tmp_path: Path) -> None:
    rows = [cells("N_0000000001_00001", AU1=1, AU2=0), cells("N_0000000001_00002", AU12=0)]
    plain = read(write_list(tmp_path, "csv", rows))
    spelt = [[number, *row[:2], *(f"{code}.0" for code in row[2:])] for number, row in enumerate(rows)]
    write_csv(tmp_path / f"{SHEET}.csv", [["", *HEADER], *spelt])
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows.equals(plain.rows)


@pytest.mark.parametrize("folder", ["Aligned", "imgs"])
def test_pictures_are_found_in_the_folders_of_public_loaders(tmp_path: Path, folder: str) -> None:
    images(tmp_path, "N_0000000001_00001", folder=folder)
    write_csv(tmp_path / f"{SHEET}.csv", [HEADER, cells("N_0000000001_00001", AU1=1)])
    assert read(tmp_path).rows["image"].to_list() == [f"{folder}/N_0000000001_00001.jpg"]


def test_a_face_with_all_coded_action_units_known_is_masked_nowhere(tmp_path: Path) -> None:
    known = {f"AU{number}": number % 2 for number in CODED["2020"]}
    scan = read(write_list(tmp_path, "csv", [cells("N_0000000001_00001", **known)]))
    assert scan.rows["au_masked"].to_list() == [None]
    (row,) = scan.rows.iter_rows(named=True)
    assert {name: value for name, value in row.items() if name[3:].isdigit()} == {
        f"au_{number}": number % 2 for number in CODED["2020"]
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_0_in_a_column_that_is_not_coded_does_not_say_absent(tmp_path: Path, form: str) -> None:
    scan = read(
        write_list(tmp_path, form, [cells("N_0000000001_00001", fill=0, AU12=1)]), automatic=form == "challenge"
    )
    coded = CODED["2018"] if form == "challenge" else CODED["2020"]
    units = {name for name in scan.rows.columns if name[3:].isdigit()}
    assert units == {f"au_{number}" for number in coded}
    assert "au_7" not in units
    assert scan.rows["au_12"].to_list() == [1]
    labels = harmonise(scan, EmotioNet(), "2020", SplitOptions()).labels
    mask = dict(zip(ACTION_UNITS, labels["au_mask"][0].to_list(), strict=True))
    assert [number for number, known in mask.items() if known] == list(coded)


def test_a_1_in_a_column_that_is_not_coded_is_noted_and_not_used(tmp_path: Path) -> None:
    scan = read(write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=0, AU7=1, AU53=1)]))
    assert scan.defects == ()
    assert scan.notes[-1] == f"{SHEET}.csv: present in columns that are not coded, not used: AU 7 (1), AU 53 (1)"


def test_the_notes_count_the_faces_and_name_the_action_units_that_nobody_knows(tmp_path: Path) -> None:
    known = {f"AU{number}": 0 for number in CODED["2020"] if number not in (18, 43)}
    scan = read(write_list(tmp_path, "csv", [cells("N_0000000001_00001", **known)]))
    assert scan.notes == (
        f"{SHEET}.csv: 1 faces, 17 coded action units; images in images",
        f"{SHEET}.csv: unknown in every line: AU 18, AU 43",
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_face_without_any_known_action_unit_is_a_failure(tmp_path: Path, form: str) -> None:
    rows = [cells("N_0000000001_00001", AU1=1), cells("N_0000000001_00002", AU7=1)]
    scan = read(write_list(tmp_path, form, rows), automatic=form == "challenge")
    assert scan.defects == ()
    assert reasons(scan) == {"no action unit annotated": 1}
    assert scan.failures["source_line"].to_list() == [FIRST_LINE[form] + 1]
    assert scan.lines == len(scan.rows) + len(scan.failures) == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", [2, "0.5", "x", "9", "-999"])
def test_an_unknown_code_is_a_defect_that_names_line_and_column(tmp_path: Path, form: str, code: object) -> None:
    rows = [cells("N_0000000001_00001", AU1=1), cells("N_0000000001_00002", AU1=0, AU9=code)]
    scan = read(write_list(tmp_path, form, rows), automatic=form == "challenge")
    assert defects(scan) == [
        f"{LIST_OF[form]}:{FIRST_LINE[form] + 1}: found AU 9 = '{code}'; expected one of 0, 1, 999, -1; {TO_FIX}"
    ]


def test_an_unknown_code_in_a_column_that_is_not_coded_is_a_defect_too(tmp_path: Path) -> None:
    (defect,) = read(write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=1, AU59=3)])).defects
    assert (defect.line, defect.found) == (2, "AU 59 = '3'")


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_an_empty_cell_of_a_sheet_is_unknown_and_counted(tmp_path: Path, form: str) -> None:
    scan = read(write_list(tmp_path, form, [cells("N_0000000001_00001", AU1=1, AU2=None, AU4=None, AU6=0)]))
    assert scan.defects == ()
    assert scan.rows.select("au_1", "au_2", "au_4", "au_6").row(0) == (1, None, None, 0)
    assert scan.notes[0] == f"{LIST_OF[form]}: 2 empty cells, read as unknown"


def test_an_empty_field_of_a_text_list_is_a_defect(tmp_path: Path) -> None:
    scan = read(write_list(tmp_path, "challenge", [cells("N_0000000001_00001", AU1=1, AU2="")]), automatic=True)
    assert [(defect.line, defect.found) for defect in scan.defects] == [(1, "AU 2 = ''")]


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_lines_of_a_sheet_without_any_value_are_no_faces(tmp_path: Path, form: str) -> None:
    rows = [cells("N_0000000001_00001", AU1=1), [None] * 62, cells("N_0000000001_00002", AU1=0), [None] * 62]
    scan = read(write_list(tmp_path, form, rows))
    assert scan.defects == ()
    assert scan.rows.select("source_line", "au_1").rows() == [(2, 1), (4, 0)]
    assert scan.lines == 2


# ---------------------------------------------------------------- addresses and images


@pytest.mark.parametrize(
    "address",
    [
        f"{SERVER}/N_0000000001/N_0000000001_00001.jpg",
        f"{SERVER}/N_0000000001/N_0000000001_00001.jpg'",
        f"'{SERVER}/N_0000000001/N_0000000001_00001.jpg'",
        f' "{SERVER}/N_0000000001/N_0000000001_00001.jpg" ',
        "http://cbcsnas01.ece.ohio-state.edu/EmotioNet/Images/N_0000000001/N_0000000001_00001.jpg",
    ],
)
def test_the_end_of_the_url_names_the_image_with_or_without_quotes(tmp_path: Path, address: str) -> None:
    images(tmp_path, "N_0000000001_00001")
    write_csv(tmp_path / f"{SHEET}.csv", [HEADER, [address, *cells("x", AU1=1)[1:]]])
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows["image"].to_list() == ["images/N_0000000001/N_0000000001_00001.jpg"]


@pytest.mark.parametrize(
    "address",
    [
        "N_0000000001_00001.jpg",
        f"{SERVER}/N_0000000001_00001.jpg",
        f"{SERVER}/N_0000000002/N_0000000001_00001.jpg",
        f"{SERVER}/N_0000000001/../N_0000000001_00001.jpg",
        f"{SERVER}/N_0000000001/N_0000000001_00001.exe",
        f"{SERVER}/00001.jpg",
        "",
    ],
)
def test_an_address_that_names_no_image_of_the_database_is_a_defect(tmp_path: Path, address: str) -> None:
    images(tmp_path, "N_0000000001_00001")
    write_csv(tmp_path / f"{SHEET}.csv", [HEADER, [address, *cells("x", AU1=1)[1:]]])
    assert defects(read(tmp_path)) == [
        f"{SHEET}.csv:2: found URL = '{address}'; expected an address that ends in N_<folder>/N_<folder>_<number>.jpg; {TO_FIX}"
    ]


@pytest.mark.parametrize(
    ("folder", "image"),
    [
        ("images/N_0000000001", "images/N_0000000001/N_0000000001_00001.jpg"),
        ("Images/N_0000000001", "Images/N_0000000001/N_0000000001_00001.jpg"),
        ("imgs/N_0000000001", "imgs/N_0000000001/N_0000000001_00001.jpg"),
        ("images", "images/N_0000000001_00001.jpg"),
        ("imgs", "imgs/N_0000000001_00001.jpg"),
    ],
)
def test_images_are_found_in_their_folders_or_in_one(tmp_path: Path, folder: str, image: str) -> None:
    images(tmp_path, "N_0000000001_00001", folder=folder)
    write_csv(tmp_path / f"{SHEET}.csv", [HEADER, cells("N_0000000001_00001", AU1=1)])
    scan = read(tmp_path)
    assert (scan.defects, scan.rows["image"].to_list()) == ((), [image])


def test_a_dead_url_is_a_counted_failure(tmp_path: Path) -> None:
    write_list(tmp_path, "xlsx", [cells(f"N_0000000001_0000{number}", AU1=1) for number in (1, 2, 3)])
    (tmp_path / "images/N_0000000001/N_0000000001_00002.jpg").unlink()
    scan = read(tmp_path)
    assert (scan.defects, reasons(scan)) == ((), {"image file missing": 1})
    assert scan.failures.select("source_line", "image").row(0) == (3, "images/N_0000000001/N_0000000001_00002.jpg")


def test_a_root_without_images_is_a_defect(tmp_path: Path) -> None:
    write_csv(tmp_path / f"{SHEET}.csv", [HEADER, cells("N_0000000001_00001", AU1=1)])
    assert defects(read(tmp_path)) == [
        "images: found no such folder; expected the folder of the images; to fix: download the images there"
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", [0, 1])
def test_the_same_image_twice_is_a_defect_that_names_both_lines(tmp_path: Path, form: str, code: int) -> None:
    rows = [cells("N_0000000001_00001", AU1=1), cells("N_0000000001_00001", AU1=code)]
    list_, line = LIST_OF[form], FIRST_LINE[form]
    write_list(tmp_path, form, rows)
    assert defects(read(tmp_path, automatic=form == "challenge")) == [
        f"{list_}:{line + 1}: found images/N_0000000001/N_0000000001_00001.jpg again (first at {list_}:{line}); "
        f"expected one line for each image; {TO_FIX}"
    ]
    scan = read(tmp_path, f"{list_}:{line + 1}", automatic=form == "challenge")
    assert (scan.defects, reasons(scan), scan.rows["au_1"].to_list()) == ((), {"excluded by the recipe": 1}, [1])


# ---------------------------------------------------------------- headers and workbooks


@pytest.mark.parametrize(
    "spelling", ["'AU {}'", "AU {}", "AU{}", ' "AU {}" ', "'AU {}", "au {}"], ids=lambda spelling: repr(spelling)
)
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_the_header_is_read_with_its_quotes_or_without(tmp_path: Path, form: str, spelling: str) -> None:
    write_list(tmp_path, form, [])
    header = ["URL", "URL orig", *(spelling.format(number) for number in range(1, 61))]
    rows = [header, cells("N_0000000001_00001", AU1=1)]
    images(tmp_path, "N_0000000001_00001")
    write_xlsx(tmp_path / f"{SHEET}.xlsx", S=rows) if form == "xlsx" else write_csv(tmp_path / f"{SHEET}.csv", rows)
    scan = read(tmp_path)
    assert (scan.defects, scan.rows["au_1"].to_list()) == ((), [1])


def test_columns_are_read_by_name_and_not_by_place(tmp_path: Path) -> None:
    images(tmp_path, "N_0000000001_00001")
    row = cells("N_0000000001_00001", AU1=1, AU26=0)
    write_csv(tmp_path / f"{SHEET}.csv", [HEADER[::-1], row[::-1]])
    assert read(tmp_path).rows.select("au_1", "au_26").row(0) == (1, 0)


@pytest.mark.parametrize("form", ["xlsx", "csv"])
@pytest.mark.parametrize(
    ("header", "found"),
    [
        (HEADER[:-1], "a header without AU 60"),
        ([*HEADER, "emotion"], "a header with 'emotion'"),
        ([*HEADER[:2], "AU 99", *HEADER[3:]], "a header without AU 1 and with 'AU 99'"),
        ([*HEADER, "'AU 12'"], "a header of 63 columns, some twice"),
        (HEADER[:2], "a header without AU 1, AU 2, AU 3, AU 4 and 56 more"),
    ],
)
def test_a_header_that_does_not_fit_is_one_defect(tmp_path: Path, form: str, header: list[str], found: str) -> None:
    images(tmp_path, "N_0000000001_00001")
    rows = [header, [*cells("N_0000000001_00001", AU1=1), "happy"][: len(header)]]
    write_xlsx(tmp_path / f"{SHEET}.xlsx", S=rows) if form == "xlsx" else write_csv(tmp_path / f"{SHEET}.csv", rows)
    assert defects(read(tmp_path)) == [
        f"{LIST_OF[form]}:1: found {found}; expected one column each of URL, URL orig, 'AU 1' to 'AU 60'; "
        "to fix: replace the file by the official one"
    ]


def test_a_sheet_without_its_header_is_a_defect(tmp_path: Path) -> None:
    images(tmp_path, "N_0000000001_00001")
    write_xlsx(tmp_path / f"{SHEET}.xlsx", S=[cells("N_0000000001_00001", AU1=1)])
    (defect,) = read(tmp_path).defects
    assert (defect.path, defect.line) == (f"{SHEET}.xlsx", 1)
    assert "without URL, URL orig, AU 1, AU 2 and 58 more" in defect.found


def test_all_sheets_of_a_workbook_are_read_and_named(tmp_path: Path) -> None:
    images(tmp_path, "N_0000000001_00001", "N_0000000001_00002")
    first, second = (cells(f"N_0000000001_0000{number}", AU1=number % 2, AU10=1) for number in (1, 2))
    path = tmp_path / "EmotioNet_FACS_aws_without_passw.xlsx"
    write_xlsx(path, one=[HEADER, first], two=[HEADER, second], empty=[])
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows.select("source_file", "source_line", "au_1").rows() == [
        (f"{path.name}[one]", 2, 1),
        (f"{path.name}[two]", 2, 0),
    ]
    assert scan.annotation_files == (path.name,)
    assert "au_10" not in scan.rows.columns, "only the 12 of 2018 are coded in the older workbook"
    assert reasons(read(tmp_path, f"{path.name}[two]:2")) == {"excluded by the recipe": 1}


def test_numbers_texts_and_truth_values_of_a_workbook_are_the_same_code(tmp_path: Path) -> None:
    row = cells("N_0000000001_00001", AU1=1, AU2="1", AU4=1.0, AU5=" 0 ", AU6=0.0, AU9="999")
    scan = read(write_list(tmp_path, "xlsx", [row]))
    assert scan.defects == ()
    assert scan.rows.select("au_1", "au_2", "au_4", "au_5", "au_6", "au_9").row(0) == (1, 1, 1, 0, 0, None)
    (defect,) = read(write_list(tmp_path / "other", "xlsx", [cells("N_0000000001_00001", AU1=True)])).defects
    assert defect.found == "AU 1 = 'true'"


@pytest.mark.parametrize(
    "content", [b"", b"no workbook", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)]
)
def test_what_is_no_workbook_or_has_a_password_is_a_defect_and_no_crash(tmp_path: Path, content: bytes) -> None:
    images(tmp_path, "N_0000000001_00001")
    (tmp_path / f"{SHEET}.xlsx").write_bytes(content)
    (defect,) = read(tmp_path).defects
    assert (defect.path, defect.line, defect.expected) == (f"{SHEET}.xlsx", 0, "an xlsx file")
    assert defect.found.startswith("no readable workbook (")
    assert defect.remedy == "save the official file without its password, or as csv"


def test_a_workbook_without_a_value_is_a_defect(tmp_path: Path) -> None:
    images(tmp_path, "N_0000000001_00001")
    write_xlsx(tmp_path / f"{SHEET}.xlsx", S=[])
    (defect,) = read(tmp_path).defects
    assert defect.found == "no cell with a value"


@pytest.mark.parametrize("form", FORMS)
def test_a_list_without_a_face_is_a_defect(tmp_path: Path, form: str) -> None:
    (defect,) = read(write_list(tmp_path, form, []), automatic=form == "challenge").defects
    assert (defect.path, defect.found) == (LIST_OF[form], "no face")


def test_an_address_with_a_comma_is_quoted_in_the_export(tmp_path: Path) -> None:
    row = cells("N_0000000001_00001", AU1=1)
    row[1] = 'http://found.example/a,b?c="d".jpg'
    scan = read(write_list(tmp_path, "csv", [row]))
    assert (scan.defects, scan.rows["au_1"].to_list()) == ((), [1])


@pytest.mark.parametrize(("form", "separator"), [("csv", ","), ("challenge", "\t")])
def test_a_line_with_a_field_too_few_is_one_defect(tmp_path: Path, form: str, separator: str) -> None:
    write_list(tmp_path, form, [cells("N_0000000001_00001", AU1=1)])
    with (tmp_path / LIST_OF[form]).open("a") as file:
        file.write(separator.join(map(str, cells("N_0000000001_00002", AU1=1)[:-1])) + "\n")
    (defect,) = read(tmp_path, automatic=form == "challenge").defects
    assert (defect.path, defect.line) == (LIST_OF[form], FIRST_LINE[form] + 1)
    assert defect.found.startswith("61 field(s): ")
    assert defect.expected.startswith("62 field(s): URL")


def test_a_text_list_with_a_header_is_a_defect(tmp_path: Path) -> None:
    write_list(tmp_path, "challenge", [cells("N_0000000001_00001", AU1=1)])
    path = tmp_path / LIST_OF["challenge"]
    path.write_text("\t".join(HEADER) + "\n" + path.read_text())
    found = read(tmp_path, automatic=True).defects
    assert {defect.line for defect in found} == {1}
    assert "URL = 'URL'" in {defect.found for defect in found}


# ---------------------------------------------------------------- releases and several lists


def test_the_release_is_recognised_by_the_name_of_the_sheet(tmp_path: Path) -> None:
    write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU10=1, AU12=0)])
    assert EmotioNet().release_of(DatabaseRoot(tmp_path)) == "2020"
    (tmp_path / f"{SHEET}.csv").rename(tmp_path / "EmotioNet_FACS_aws.csv")
    assert EmotioNet().release_of(DatabaseRoot(tmp_path)) == "2018"
    assert "au_10" not in read(tmp_path).rows.columns
    assert read(tmp_path, release="2020").rows["au_10"].to_list() == [1]


def test_an_unknown_release_is_refused(tmp_path: Path) -> None:
    write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=1)])
    with pytest.raises(DatabaseNotFoundError, match="there is no release 2019; known: 2018, 2020"):
        read(tmp_path, release="2019")


def test_of_workbook_and_export_the_workbook_is_read(tmp_path: Path) -> None:
    write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=0)])
    write_list(tmp_path, "xlsx", [cells("N_0000000001_00001", AU1=1)])
    scan = read(tmp_path)
    assert scan.rows["au_1"].to_list() == [1]
    assert scan.notes[0] == f"{SHEET}.csv: not read, {SHEET}.xlsx is"


def test_of_two_releases_the_recipe_s_is_read(tmp_path: Path) -> None:
    older = "EmotioNet_FACS_aws_without_passw.xlsx"
    write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=0)])
    write_xlsx(tmp_path / older, S=[HEADER, cells("N_0000000001_00001", AU1=1)])
    assert read(tmp_path).rows["source_file"].to_list() == [f"{SHEET}.csv"]
    assert read(tmp_path, release="2018").rows["source_file"].to_list() == [older]


def test_sheets_are_found_in_a_folder_of_labels(tmp_path: Path) -> None:
    write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=0)])
    (tmp_path / "labels").mkdir()
    (tmp_path / f"{SHEET}.csv").rename(tmp_path / "labels" / f"{SHEET}.csv")
    scan = read(tmp_path)
    assert (scan.defects, scan.annotation_files) == ((), (f"labels/{SHEET}.csv",))


def test_text_lists_are_read_only_where_the_recipe_asks_for_them(tmp_path: Path) -> None:
    write_list(tmp_path, "xlsx", [cells("N_0000000001_00001", AU1=1)])
    write_list(tmp_path, "challenge", [cells("N_0000000001_00002", AU1=0, AU10=1)])
    scan = read(tmp_path)
    assert len(scan.rows) == 1
    assert "split" not in scan.rows.columns
    assert scan.notes[0] == (
        "1 text list(s): not read, an algorithm gave their labels; `automatic: true` adds them to the training split"
    )
    both = read(tmp_path, automatic=True)
    assert both.defects == ()
    assert both.rows.select("source_file", "au_1", "au_10", "split").rows() == [
        (f"{SHEET}.xlsx", 1, None, None),
        (LIST_OF["challenge"], 0, None, "train"),
    ]


def test_an_image_of_both_lists_keeps_the_labels_given_by_hand(tmp_path: Path) -> None:
    write_list(tmp_path, "xlsx", [cells("N_0000000001_00001", AU1=1)])
    write_list(tmp_path, "challenge", [cells("N_0000000001_00001", AU1=0), cells("N_0000000001_00002", AU1=0)])
    scan = read(tmp_path, automatic=True)
    assert (scan.defects, scan.lines, reasons(scan)) == ((), 3, {"annotated by hand too": 1})
    assert scan.rows["au_1"].to_list() == [1, 0]


def test_text_lists_lie_in_their_folder_or_in_the_root_and_other_texts_are_left_alone(tmp_path: Path) -> None:
    write_list(tmp_path, "challenge", [cells("N_0000000001_00001", AU1=0)])
    (tmp_path / TEXTS / "dataFile_0001.txt").rename(tmp_path / "dataFile_0022.txt")
    (tmp_path / "README.txt").write_text("read me\n")
    assert read(tmp_path, automatic=True).annotation_files == ("dataFile_0022.txt",)


def test_text_lists_that_the_recipe_asks_for_and_that_are_not_there_are_a_defect(tmp_path: Path) -> None:
    write_list(tmp_path, "csv", [cells("N_0000000001_00001", AU1=0)])
    assert defects(read(tmp_path, automatic=True)) == [
        "dataFile_*.txt: found no such file; expected the text lists that `automatic: true` asks for; "
        "to fix: put the official lists there, or leave out `automatic`"
    ]


def test_text_lists_alone_without_the_option_are_refused_with_the_way_out(tmp_path: Path) -> None:
    write_list(tmp_path, "challenge", [cells("N_0000000001_00001", AU1=0)])
    with pytest.raises(
        DatabaseNotFoundError, match="only text lists, whose labels an algorithm gave; `automatic: true`"
    ):
        read(tmp_path)


@pytest.mark.parametrize("automatic", [False, True])
def test_another_folder_shows_the_expected_layout(tmp_path: Path, automatic: bool) -> None:
    images(tmp_path, "N_0000000001_00001")
    with pytest.raises(
        DatabaseNotFoundError, match=r"(?s)neither EmotioNet_FACS_\*\.xlsx nor .*EmotioNet_FACS_aws_2020_24600\.xlsx"
    ):
        read(tmp_path, automatic=automatic)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="the folder is empty"):
        read(tmp_path)


# ---------------------------------------------------------------- properties

CODES = st.lists(st.sampled_from([0, 1, 999, -1]), min_size=60, max_size=60)


@settings(max_examples=15, deadline=None)
@given(st.lists(CODES, min_size=1, max_size=4), st.sampled_from(FORMS))
def test_valid_lines_come_back_as_written(lists: list[list[int]], form: str) -> None:
    rows = [[*cells(f"N_0000000001_{line:05d}")[:2], *codes] for line, codes in enumerate(lists)]
    with tempfile.TemporaryDirectory() as folder:
        scan = read(write_list(Path(folder), form, rows), automatic=form == "challenge")
    coded = CODED["2018"] if form == "challenge" else CODED["2020"]
    expected = [tuple({0: 0, 1: 1}.get(codes[number - 1]) for number in coded) for codes in lists]
    known = [units for units in expected if set(units) != {None}]
    assert scan.defects == ()
    assert scan.rows.select([f"au_{number}" for number in coded]).rows() == known
    assert reasons(scan).get("no action unit annotated", 0) == len(expected) - len(known)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.text("23456789xX.+-", min_size=1, max_size=4), st.sampled_from(["csv", "challenge"]))
def test_any_invalid_token_gives_exactly_one_defect_with_its_line(number: int, token: str, form: str) -> None:
    if token == "999":
        return
    rows = [cells("N_0000000001_00001", AU1=1), cells("N_0000000001_00002", **{"AU1": 1, f"AU{number}": token})]
    with tempfile.TemporaryDirectory() as folder:
        scan = read(write_list(Path(folder), form, rows), automatic=form == "challenge")
    assert [(defect.path, defect.line) for defect in scan.defects] == [(LIST_OF[form], FIRST_LINE[form] + 1)]


# ---------------------------------------------------------------- the demo database


@pytest.fixture(scope="module", params=FORMS)
def demo_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Scan, list[PlacedFace]]:
    root = tmp_path_factory.mktemp(request.param)
    placed = demo.write(root, FaceSampler(5), 120, request.param).faces
    return request.param, root, read(root, automatic=request.param == "challenge"), placed


Demo = tuple[str, Path, Scan, list[PlacedFace]]


def test_the_demo_reads_as_rows_and_documented_failures_alone(demo_database: Demo) -> None:
    form, _, scan, placed = demo_database
    assert scan.defects == ()
    assert scan.lines == 120
    assert reasons(scan) == {"image file missing": 6, "no action unit annotated": 1}
    assert set(scan.rows["image"]) == {face.image for face in placed}
    truth = {face.image: face.truth for face in placed}
    coded = CODED["2018"] if form == "challenge" else CODED["2020"]
    for row in scan.rows.iter_rows(named=True):
        for number in coded:
            if row[f"au_{number}"] is not None:
                assert row[f"au_{number}"] == truth[row["image"]].action_unit(number)


def test_the_demo_labels_what_its_faces_show_and_no_more(demo_database: Demo) -> None:
    form, _, scan, _ = demo_database
    coded = CODED["2018"] if form == "challenge" else CODED["2020"]
    known = {number: scan.rows[f"au_{number}"].count() / len(scan.rows) for number in coded}
    assert {number for number, share in known.items() if share == 0} == set(coded) - set(DEMO_ACTION_UNITS)
    assert all(0.85 < share < 1 for number, share in known.items() if number in DEMO_ACTION_UNITS)
    assert 0.1 < scan.rows["au_25"].mean() < 0.7


def test_the_demo_has_the_official_quirks(demo_database: Demo) -> None:
    form, root, scan, _ = demo_database
    names = scan.rows["image"].str.split("/").list.last()
    assert names.str.extract(r"(N_\d+)_").n_unique() == 3
    numbers = names.str.extract(r"_(\d{5})\.jpg$").cast(pl.Int32)
    assert numbers.max() > 45, "numbers have gaps"
    if form == "challenge":
        texts = sorted((root / demo.TEXT_FOLDER).iterdir())
        assert [path.read_text().count("\n") for path in texts] == [100, 20]
        assert {line.count("\t") for path in texts for line in path.read_text().splitlines()} == {61}
        return
    if form == "xlsx":
        header, first = list(openpyxl.load_workbook(root / LIST_OF["xlsx"]).active.iter_rows(values_only=True))[:2]
    else:
        header, first = list(csv.reader((root / LIST_OF["csv"]).read_text().splitlines()))[:2]
    assert list(header) == HEADER
    assert str(first[0]).endswith(".jpg'")
    assert {str(code) for code in first[2:]} <= {"0", "1", "999"}


def test_the_three_forms_hold_the_same_faces(tmp_path: Path) -> None:
    for form in ("xlsx", "csv"):
        (tmp_path / form).mkdir()
        demo.write(tmp_path / form, FaceSampler(3), 30, form)
    columns = [name for name in read(tmp_path / "csv").rows.columns if name != "source_file"]
    assert read(tmp_path / "xlsx").rows.select(columns).equals(read(tmp_path / "csv").rows.select(columns))


def test_text_lists_may_join_a_sheet(tmp_path: Path) -> None:
    by_hand = demo.write(tmp_path, FaceSampler(3), 30).faces
    by_algorithm = demo.write(tmp_path, FaceSampler(4), 30, "challenge").faces
    scan = read(tmp_path, automatic=True)
    assert scan.defects == ()
    assert set(scan.rows["image"]) == {face.image for face in by_hand + by_algorithm}
    assert scan.rows["split"].null_count() == len(by_hand)


def test_the_demo_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        demo.write(tmp_path / name, FaceSampler(seed), 12)
    contents = {
        name: {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "abc"
    }
    assert contents["a"] == contents["b"]
    assert contents["a"] != contents["c"]


def test_the_workbook_holds_its_cells_in_another_reader_too(tmp_path: Path) -> None:
    rows = [["a<&>\"'", "  spaced ", None], ["ü", 999, 0], [-1, None, "1"]]
    write_workbook(tmp_path / "a.xlsx", rows, sheet="A & B")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["A & B"]
    assert [list(row) for row in book.active.iter_rows(values_only=True)] == rows
