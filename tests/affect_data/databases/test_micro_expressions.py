"""CASME II and SAMM: a workbook of clips, frames from onset to offset, strings of action units, and everything that can be wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from affect_data.databases.action_unit_columns import LEFT_OPEN, MARKED, NOT_CODED, OPEN_LEVEL, OPEN_PLACE, UNNAMED
from affect_data.databases.base import Scan
from affect_data.databases.casme2 import Casme2, Casme2Options
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.samm import WORKBOOK, Samm
from affect_data.demo.casme2 import HEADER
from affect_data.demo.samm import HEADER as SAMM_HEADER
from affect_data.demo.workbook import write_workbook
from affect_data.errors import DatabaseNotFoundError

Line = Sequence[str | int | None]


def casme2(root: Path, *lines: Line, book: str = "CASME2-coding-20190701.xlsx", header: Line = HEADER) -> Path:
    """A workbook of lines (subject, file, onset, apex, offset, codes, emotion, class), and frames 8 to 12 of each clip in both kinds."""
    rows: list[Line] = [header]
    for subject, name, onset, apex, offset, codes, emotion, *rest in lines:
        rows.append((subject, name, None, onset, apex, offset, None, codes, emotion, *rest))
        person = f"sub{int(str(subject)):02d}"
        for folder, frame in (("Cropped", "reg_img"), ("CASME2_RAW_selected", "img")):
            (root / folder / person / str(name)).mkdir(parents=True, exist_ok=True)
            for number in range(8, 13):
                (root / folder / person / str(name) / f"{frame}{number}.jpg").touch()
    write_workbook(root / book, rows)
    return root


def line(codes: str | int = "4+L12", emotion: str = "happiness", apex: str | int = 10) -> Line:
    return ("01", "EP02_01f", 9, apex, 11, codes, emotion, 1)


def read(root: Path, **options: object) -> Scan:
    return Casme2(Casme2Options.model_validate(options)).read(DatabaseRoot(root))


def samm(root: Path, *codes: str | int, **cells: str | int) -> Scan:
    """SAMM with a clip for each string; `cells` change cells of the first."""
    rows: list[Line] = [*[("legend",)] * 13, SAMM_HEADER]
    for position, text in enumerate(codes):
        values = dict(
            zip(
                SAMM_HEADER,
                ("006", f"006_{position + 1}_1", "H", 9, 10, 11, 3, "Micro - 1/2", text, "Anger", 7, None),
                strict=True,
            )
        )
        rows.append(tuple((values | (cells if position == 0 else {})).values()))
        folder = root / "SAMM" / "006" / f"006_{position + 1}_1"
        folder.mkdir(parents=True)
        for number in range(8, 13):
            (folder / f"006_{number:05d}.jpg").touch()
    write_workbook(root / WORKBOOK, rows, "MICRO_ONLY")
    return Samm().read(DatabaseRoot(root))


# ---------------------------------------------------------------- CASME II


def test_a_clip_has_its_frames_from_onset_to_offset_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    scan = read(casme2(tmp_path, line()))
    assert scan.defects == ()
    assert scan.rows["clip_frames"].to_list() == [[f"Cropped/sub01/EP02_01f/reg_img{n}.jpg" for n in (9, 10, 11)]]
    row = scan.rows.row(0, named=True)
    assert (row["subject"], row["track"], row["source_line"]) == ("sub01", "sub01/EP02_01f", 2)
    assert (row["expression"], row["native_expression"]) == ("happiness", "happiness")
    assert [row[f"score_{name}"] for name in ("onset_frame", "apex_frame", "offset_frame", "objective_class")] == [
        9,
        10,
        11,
        1,
    ]
    assert {unit for unit in Casme2.action_units if row[f"au_{unit}"] == 1} == {4, 12}
    assert {unit for unit in Casme2.action_units if row[f"au_{unit}"] is None} == set()
    assert (row["side_12"], row["side_4"], row["au_masked"]) == ("left", None, None)


def test_whole_frames_are_read_where_the_recipe_says_so(tmp_path: Path) -> None:
    scan = read(casme2(tmp_path, line()), images="raw", frames=1)
    assert scan.rows["image"].to_list() == ["CASME2_RAW_selected/sub01/EP02_01f/img10.jpg"]


def test_an_emotion_that_is_none_of_the_unified_ones_is_other_and_keeps_its_own_word(tmp_path: Path) -> None:
    lines = [("01", f"EP0{n}_01f", 9, 10, 11, 4, word, 1) for n, word in enumerate(("repression", "others", "Fear "))]
    rows = read(casme2(tmp_path, *lines)).rows
    assert rows["expression"].to_list() == ["other", "other", "fear"]
    assert rows["native_expression"].to_list() == ["repression", "others", "fear"]


def test_a_question_mark_masks_what_it_stands_for(tmp_path: Path) -> None:
    lines = [("01", f"EP0{n}_01f", 9, 10, 11, codes, "fear", 1) for n, codes in enumerate(("4+?", "4?+12", "?", ""))]
    scan = read(casme2(tmp_path, *lines))
    assert scan.defects == ()
    assert scan.rows.select("au_4", "au_12", "au_1", "au_masked").rows() == [
        (1, None, None, UNNAMED),
        (None, 1, 0, MARKED),
        (None, None, None, UNNAMED),
        (None, None, None, UNNAMED),
    ]


def test_an_apex_that_is_unknown_or_outside_is_left_out(tmp_path: Path) -> None:
    lines = [("01", f"EP0{n}_01f", 9, apex, 11, 4, "fear", 1) for n, apex in enumerate(("/", 12, 11))]
    scan = read(casme2(tmp_path, *lines))
    assert scan.defects == ()
    assert scan.rows["score_apex_frame"].to_list() == [None, None, 11.0]
    assert "apex left out in 1 clip(s), whose onset and offset do not enclose it: EP01_01f" in scan.notes


def test_the_older_workbook_has_numbers_for_people_and_no_objective_class(tmp_path: Path) -> None:
    old = (1, "EP02_01f", 9, 10, 11, "4+L12", "happiness")
    root = casme2(tmp_path, old, book="CASME2-coding-20140508.xlsx", header=HEADER[:-1])
    scan = read(root)
    assert scan.defects == ()
    assert Casme2().release_of(DatabaseRoot(root)) == "2014"
    assert scan.rows.select("subject", "score_objective_class").row(0) == ("sub01", None)
    casme2(root, line(codes=7))
    assert read(root).rows["au_7"].to_list() == [1]
    assert "CASME2-coding-20140508.xlsx: not read" in " ".join(read(root).notes)
    assert read(root, release="2014").rows["au_7"].to_list() == [0]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({0: "x"}, "Subject = 'x'"),
        ({1: "../EP02_01f"}, "Filename = '../EP02_01f'"),
        ({2: "soon"}, "OnsetFrame = 'soon'"),
        ({3: "middle"}, "ApexFrame = 'middle'"),
        ({4: 8}, "OnsetFrame = 9 and OffsetFrame = 8"),
        ({5: "12 14"}, "Action Units = '12 14'"),
        ({5: "45021"}, "Action Units = '45021'"),
        ({6: "joy"}, "expression = 'joy'"),
        ({7: 8}, "objective_class = '8'"),
    ],
)
def test_what_contradicts_the_documentation_is_a_defect_with_its_line(
    tmp_path: Path, changed: dict[int, str | int], found: str
) -> None:
    other = ("02", "EP01_01f", 9, 10, 11, 4, "fear", 1)
    wrong = [changed.get(place, cell) for place, cell in enumerate(line())]
    root = casme2(tmp_path, other, line())
    write_workbook(
        root / "CASME2-coding-20190701.xlsx",
        [HEADER, *((s, n, None, a, b, c, None, *r) for s, n, a, b, c, *r in (other, wrong))],
    )
    assert [(d.path, d.line, d.found) for d in read(root).defects] == [("CASME2-coding-20190701.xlsx", 3, found)]


def test_a_clip_twice_and_a_workbook_without_its_columns_are_defects(tmp_path: Path) -> None:
    (defect,) = read(casme2(tmp_path / "a", line(), line())).defects
    assert defect.found == "clip EP02_01f of sub01 again (first in line 2)"
    (defect,) = read(casme2(tmp_path / "b", line(), header=("Person", *HEADER[1:]))).defects
    assert defect.found == "no row with the names of the columns"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.txt").touch()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no workbook CASME2-coding-2019\.\.\.\.xlsx"):
        read(tmp_path / "c")


def test_without_the_folder_of_frames_its_place_is_named_and_lost_clips_are_failures(tmp_path: Path) -> None:
    root = casme2(
        tmp_path, line(), ("02", "EP01_01f", 9, 10, 11, 4, "fear", 1), ("03", "EP01_01f", 90, 91, 92, 4, "fear", 1)
    )
    for frame in (root / "Cropped/sub02/EP01_01f").iterdir():
        frame.unlink()
    (root / "Cropped/sub02/EP01_01f").rmdir()
    reasons = read(root).failures.select("source_line", "reason").rows()
    assert reasons == [(3, "clip folder missing"), (4, "clip without frames")]
    (root / "Cropped").rename(root / "elsewhere")
    assert [defect.path for defect in read(root).defects] == ["Cropped"]


# ---------------------------------------------------------------- SAMM


def test_samm_reads_below_its_preamble_and_gives_an_intensity_only_where_a_letter_stands(tmp_path: Path) -> None:
    scan = samm(tmp_path, "7B+L12", 4)
    assert scan.defects == ()
    first, second = scan.rows.iter_rows(named=True)
    assert first["clip_frames"] == [f"SAMM/006/006_1_1/006_{n:05d}.jpg" for n in (9, 10, 11)]
    assert (first["subject"], first["track"], first["expression"], first["source_line"]) == (
        "006",
        "006/006_1_1",
        "anger",
        15,
    )
    assert (first["au_7"], first["au_intensity_7"], first["au_12"], first["au_intensity_12"], first["side_12"]) == (
        1,
        2,
        1,
        None,
        "left",
    )
    assert (second["au_7"], second["au_intensity_7"], second["au_4"]) == (0, None, 1)
    assert "au_1" not in scan.rows.columns, "an action unit that no clip names is not coded"


@pytest.mark.parametrize(
    ("codes", "expected", "reason"),
    [
        ("L12 or L14", {12: None, 14: None, 4: 0}, LEFT_OPEN),
        ("4+(R6 or R12)", {4: 1, 6: None, 12: None}, LEFT_OPEN),
        ("ref(7B)", {7: None, 4: 0}, LEFT_OPEN),
        ("10A/B", {10: 1, 4: 0}, OPEN_LEVEL),
        ("A/L12", {12: 1, 4: 0}, OPEN_PLACE),
        ("soft focus", {4: None}, UNNAMED),
        ("4 + 56", {4: 1}, NOT_CODED),
        ("12?", {12: 1, 4: 0}, None),
    ],
)
def test_what_a_string_of_samm_leaves_open_is_masked_with_its_reason(
    tmp_path: Path, codes: str, expected: dict[int, int | None], reason: str | None
) -> None:
    scan = samm(tmp_path, codes, 4)
    assert scan.defects == ()
    row = scan.rows.row(0, named=True)
    assert {unit: row[f"au_{unit}"] for unit in expected} == expected
    assert row["au_masked"] == reason


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"Filename": "007_1_1"}, "Filename = '007_1_1' of person 006"),
        ({"Micro": "Macro"}, "Micro = 'Macro'"),
        ({"Duration": 4}, "Duration = 4, but frames 9 to 11"),
    ],
)
def test_what_samm_says_twice_is_compared(tmp_path: Path, cells: dict[str, str | int], found: str) -> None:
    assert [(d.line, d.found) for d in samm(tmp_path, 12, 4, **cells).defects] == [(15, found)]


def test_a_workbook_of_samm_without_its_header_is_one_defect(tmp_path: Path) -> None:
    samm(tmp_path, 12)
    write_workbook(tmp_path / WORKBOOK, [("legend",)] * 3, "MICRO_ONLY")
    assert [d.found for d in Samm().read(DatabaseRoot(tmp_path)).defects] == ["no row with the names of the columns"]


def test_without_its_workbook_samm_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(DatabaseNotFoundError, match="there is no SAMM_Micro_FACS_Codes_v2"):
        Samm().read(DatabaseRoot(tmp_path))
