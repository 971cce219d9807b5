"""Reports as text: columns aligned, everything counted, and long lists cut with their number."""

import io
import sys

import pytest
from rich.console import Console

from affect_data.build.build import BuildReport
from affect_data.build.check import DatabaseCheck
from affect_data.cli.common import COLOURS, States
from affect_data.cli.tables import build_to_json, describe_build, describe_check, describe_statistics, table
from affect_data.demo.world import SHARES
from affect_data.errors import Defect
from affect_data.statistics.statistics import statistics


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    assert table(["name", "rows"], [["a", 1], ["bcdefg", 1234567]]) == (
        "name         rows\n------  ---------\na               1\nbcdefg  1,234,567"
    )


def test_negative_numbers_are_numbers() -> None:
    assert table(["mean"], [[-0.5], [10.25]]).splitlines()[2:] == ["-0.500", "10.250"]
    assert table(["a", "mean"], [["x", -1], ["y", 100]]).splitlines()[2:] == ["x    -1", "y   100"]


def test_what_is_not_known_is_a_dash() -> None:
    assert table(["x"], [[None]]).splitlines()[2] == "-"


def test_a_table_without_rows_has_its_header() -> None:
    assert table(["name", "rows"], []) == "name  rows\n----  ----"


def test_on_a_narrow_terminal_a_row_is_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    header = ["check", "findings", "highest", "what it finds in the labels of a database"]
    rows = [["va_scale", 3, None, "valence or arousal on another scale"], ["codes", 0, 0.5, ""]]
    wide = table(header, rows)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert table(header, rows).splitlines() == [
        "va_scale",
        "  findings 3, what it finds in the labels of a database",
        "  valence or arousal on another scale",
        "codes",
        "  findings 0, highest 0.500",
    ]
    monkeypatch.setenv("COLUMNS", "120")
    assert table(header, rows) == wide


def test_states_are_coloured_on_a_terminal_and_nowhere_else() -> None:
    said = "expw (2018): whole\ndisfa: broken: 1 defect(s)\nNext: the whole of it"
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, color_system="standard", highlighter=States(), theme=COLOURS)
    terminal.print(said, markup=False)
    assert "\x1b[32mwhole\x1b[0m" in shown.getvalue()
    assert "\x1b[31mbroken\x1b[0m" in shown.getvalue()
    assert shown.getvalue().count("\x1b[0m") == 2
    file = io.StringIO()
    Console(file=file, highlighter=States(), theme=COLOURS).print(said, markup=False)
    assert file.getvalue() == said + "\n"


def defects(count: int) -> tuple[Defect, ...]:
    return tuple(Defect("a.txt", line, "x", "y", "z") for line in range(1, count + 1))


def test_a_clean_check_says_what_was_found_and_that_the_lines_add_up() -> None:
    found = DatabaseCheck(
        "expw",
        "2018",
        notes=("10 faces",),
        expected="label.lst",
        lines=1210,
        rows=1200,
        failures={"no face": 7, "gone": 3},
    )
    assert describe_check(found) == (
        "expw (2018): whole\n  found: 10 faces\n  lines 1,210 = rows 1,200 + failures 10 (7 no face; 3 gone)\n"
    )


def test_a_check_with_defects_shows_twenty_counts_the_rest_and_shows_the_layout() -> None:
    text = describe_check(DatabaseCheck("expw", expected="label/label.lst", defects=defects(25)))
    assert text.startswith("expw: broken: 25 defect(s)\n")
    assert "a.txt:20: found x; expected y; to fix: z" in text
    assert "a.txt:21:" not in text
    assert "... and 5 more defects; --json lists all" in text
    assert text.endswith("  expected layout:\n    label/label.lst\n")


def test_a_database_that_was_not_read_says_why() -> None:
    assert (
        describe_check(DatabaseCheck("expw", problem="expw: gone\nlook"))
        == "expw: broken: not read\n  expw: gone\n  look\n"
    )


def test_a_build_shows_every_database_reason_and_split(demo_report: BuildReport) -> None:
    text = describe_build(demo_report)
    for name, found in demo_report.databases.items():
        assert name in text
        assert all(reason in text for reason in found.failures)
    assert f"built {demo_report.dataset.path}: train {demo_report.dataset.rows('train'):,}, validation" in text
    assert f"fingerprint {demo_report.dataset.fingerprint}" in text


def test_the_json_form_of_a_build_has_the_same_numbers(demo_report: BuildReport) -> None:
    document = build_to_json(demo_report)
    assert set(document["databases"]) == set(SHARES)
    assert document["rows"] == demo_report.dataset.manifest.rows
    assert document["unchanged"] is False


def test_statistics_show_every_database_and_the_complete_cases(demo_report: BuildReport) -> None:
    text = describe_statistics(statistics(demo_report.dataset))
    assert all(name in text for name in SHARES)
    assert "Complete cases: " in text
