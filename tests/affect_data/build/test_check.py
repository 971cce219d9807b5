"""Checking finds what a build would meet, says it all at once, and writes nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from types import MappingProxyType

import polars as pl
import pytest
from own_tables import COLUMNS, ROWS, write_own, write_table

from affect_data.build.build import BuildReport, build
from affect_data.build.check import check
from affect_data.build.conformance import Copy, broken_rules
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.cli.tables import describe_check
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.demo.world import SHARES
from affect_data.errors import DefectsFoundError


@pytest.fixture
def expw(tmp_path: Path, make_expw: Callable[..., Path]) -> Path:
    return make_expw(tmp_path / "expw")


EXPW = recipe_from({"databases": {"expw": {}}}, "x")


def test_the_demo_databases_are_clean_and_the_counts_are_those_of_the_build(
    demo_roots: dict[str, Path], demo_recipe: DataRecipe, demo_report: BuildReport
) -> None:
    checks = check(demo_recipe, demo_roots)
    assert [found.database for found in checks] == sorted(SHARES)
    for found in checks:
        built = demo_report.databases[found.database]
        assert found.is_clean
        assert found.notes
        assert (found.lines, found.release) == (built.lines, built.release)
        assert found.masked == built.masked
        undecodable = built.failures.get("image cannot be decoded", 0)
        assert found.rows == built.rows + undecodable
        assert found.lines == found.rows + sum(found.failures.values())


def test_nothing_is_written(expw: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    check(EXPW, {"expw": expw})
    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]} == before


def test_every_defect_is_listed_and_a_build_refuses_the_same_ones(expw: Path, tmp_path: Path) -> None:
    listed = expw / "label" / "label.lst"
    lines = listed.read_text().splitlines()
    lines[2], lines[5], lines[7] = "one field", lines[5].replace(" 12 13 ", " 1 13 "), lines[7][:-1] + "9"
    listed.write_text("\n".join(lines) + "\n")
    (found,) = check(EXPW, {"expw": expw})
    assert [(defect.path, defect.line) for defect in found.defects] == [("label/label.lst", line) for line in (3, 6, 8)]
    assert not found.is_clean
    with pytest.raises(DefectsFoundError) as caught:
        build(EXPW, {"expw": expw}, tmp_path / "merged")
    assert caught.value.defects == found.defects


def test_two_rows_of_one_face_are_found_without_a_build(
    tmp_path: Path, demo_roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from affect_data.databases.expw import ExpW

    monkeypatch.setattr(ExpW, "scan", _twice(ExpW.scan))
    (found,) = check(EXPW, demo_roots)
    assert found.defects
    assert all("found a second row for expw:image/origin/" in str(defect) for defect in found.defects)


def _twice(scan: Callable[..., object]) -> Callable[..., object]:
    import polars as pl

    def scan_twice(self: object, root: object) -> object:
        rows = scan(self, root)
        return pl.concat([rows, rows.head(1)])

    return scan_twice


def test_a_database_that_cannot_be_read_does_not_hide_the_others(expw: Path, tmp_path: Path) -> None:
    recipe = recipe_from({"databases": {"disfa": {}, "expw": {}}}, "x")
    disfa, found = check(recipe, {"disfa": tmp_path / "none", "expw": expw})
    assert "disfa: database not found in root" in disfa.problem
    assert disfa.expected == DATABASES["disfa"].layout()
    assert not disfa.is_clean
    assert (found.is_clean, found.rows) == (True, 10)


def test_a_disputed_split_is_a_problem_under_the_policy_official(demo_roots: dict[str, Path]) -> None:
    recipe = recipe_from({"databases": {"affwild2": {}}, "splits": {"policy": "official"}}, "x")
    (found,) = check(recipe, demo_roots)
    assert "are in different splits for different tasks: 10-60-1280x720" in found.problem


def test_the_json_form_is_plain(expw: Path) -> None:
    import json

    (found,) = check(EXPW, {"expw": expw})
    document = json.loads(json.dumps(found.to_json()))
    assert (document["clean"], document["lines"], document["rows"], document["defects"]) == (True, 10, 10, [])


# ---------------------------------------------------------------- everything that can be checked


def test_a_full_check_counts_as_many_rows_as_the_build_packs(
    demo_roots: dict[str, Path], demo_recipe: DataRecipe, demo_report: BuildReport
) -> None:
    for found in check(demo_recipe, demo_roots, full=True):
        built = demo_report.databases[found.database]
        assert found.broken_rules == ()
        assert (found.rows, found.failures) == (built.rows, built.failures)


def test_a_full_check_names_a_picture_that_cannot_be_decoded_and_a_quick_one_does_not(expw: Path) -> None:
    picture = expw / "image" / "origin" / "p003.png"
    picture.write_bytes(picture.read_bytes()[:40])
    assert check(EXPW, {"expw": expw})[0].headline == "whole"
    (found,) = check(EXPW, {"expw": expw}, full=True)
    assert (found.rows, found.failures) == (9, {"image cannot be decoded": 1})
    assert found.headline == "incomplete: 10.0% of 10 rows have no picture"
    assert "1 of 10 pictures cannot be decoded, such as image/origin/p003.png: " in found.notes[-1]


def test_a_full_check_counts_a_box_outside_of_its_picture_as_the_build_does(expw: Path) -> None:
    labels = expw / "label" / "label.lst"
    labels.write_text(labels.read_text().replace("p003.png 0 1 2 12 13", "p003.png 0 500 500 900 900"))
    (found,) = check(EXPW, {"expw": expw}, full=True)
    assert (found.rows, found.failures) == (9, {"face box outside its image": 1})
    assert found.notes[-1] == "1 face boxes lie outside of their pictures, such as that of image/origin/p003.png"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_full_check_finds_an_own_table_without_terms_whole(kind: str, tmp_path: Path) -> None:
    root = write_own(tmp_path / "own")
    write_table(root / f"labels.{kind}", ROWS)
    recipe = recipe_from(
        {"databases": {"mine": {"reader": "table", "file": f"labels.{kind}", "columns": COLUMNS}}}, "own"
    )
    (found,) = check(recipe, {"mine": root}, full=True)
    assert (found.headline, found.rows, found.broken_rules, found.defects) == ("whole", 4, (), ())


def test_a_reader_that_breaks_a_rule_makes_the_copy_broken(expw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(DATABASES["expw"]):  # type: ignore[misc,name-defined]
        literature_folds = MappingProxyType({"part1": ("ann",), "part2": ("ann",)})

        def scan(self, root):  # type: ignore[no-untyped-def]
            found = super().scan(root)
            moved = pl.col("source_line").max() + 1 - pl.col("source_line")
            return found.with_columns(moved.alias("source_line"), subject=pl.lit("ben"))

    monkeypatch.setitem(DATABASES, "expw", Careless)
    (found,) = check(EXPW, {"expw": expw}, full=True)
    assert found.headline == f"broken: {len(found.broken_rules)} rule(s) that every copy holds"
    people, unknown, *moved = found.broken_rules
    assert people == "a person is in two parts of the published folds"
    assert unknown == "ben is in no part of the published folds"
    assert moved[-1] == "without 5 lines, such as label/label.lst:10, rows of other lines are not as before"
    assert "breaks a rule: ben is in no part" in describe_check(found)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"image": "/data/a.png"}, "image '/data/a.png' is not a path below the root"),
        ({"image": "../a.png"}, "image '../a.png' is not a path below the root"),
        ({"source_file": "none.lst"}, "rows name the file none.lst, which is not there"),
        ({"source_line": 99}, "rows name line 99 of label/label.lst, which it does not have"),
        ({"source_line": 0}, "rows name a line before the first"),
        ({"split": "dev"}, "split 'dev' is none of train, validation, test"),
    ],
)
def test_rules_see_what_a_reader_must_not_say(expw: Path, change: dict[str, object], broken: str) -> None:
    database = DATABASES["expw"]()
    scan = database.read(DatabaseRoot(expw))
    rows = scan.rows.with_columns(pl.lit(value).alias(name) for name, value in change.items())
    rows = rows.with_columns(face=pl.int_range(pl.len())).cast({"source_line": pl.Int32})
    found = broken_rules(Copy(database, expw, replace(scan, rows=rows)))
    assert broken in found


def test_the_command_takes_full(expw: Path, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("databases: {expw: {}}\n")
    told = affect_data("check", recipe, "--root", f"expw={expw}", "--full")
    assert told.returncode == 0
    assert "all 10 pictures can be decoded" in told.stdout
    said = json.loads(affect_data("check", recipe, "--root", f"expw={expw}", "--full", "--json").stdout)
    assert said["databases"][0]["broken_rules"] == []
