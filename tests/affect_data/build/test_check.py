"""Checking finds what a build would meet, says it all at once, and writes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from affect_data.build.build import BuildReport, build
from affect_data.build.check import check
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.databases.registry import DATABASES
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
