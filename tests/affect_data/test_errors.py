"""Messages say what, where, what was found and what to do; the exit status says who is at fault."""

from pathlib import Path

import pytest

from affect_data.errors import (
    AffectError,
    DatabaseNotFoundError,
    DataError,
    Defect,
    DefectsFoundError,
    NotADatasetError,
    RecipeError,
    SchemaError,
    UnknownNameError,
    UsageError,
)


def defect(line: int) -> Defect:
    return Defect("label/label.lst", line, "expression = '9'", "one of the codes 0, 1", "correct the line")


def test_a_defect_names_path_line_found_expected_and_remedy() -> None:
    assert str(defect(7)) == (
        "label/label.lst:7: found expression = '9'; expected one of the codes 0, 1; to fix: correct the line"
    )


def test_a_defect_of_a_whole_file_has_no_line() -> None:
    assert str(defect(0)).startswith("label/label.lst: found ")


def test_defects_sort_by_path_then_line_as_numbers() -> None:
    assert [found.line for found in sorted(defect(line) for line in (10, 9, 2))] == [2, 9, 10]


def test_many_defects_are_counted_and_the_first_twenty_shown() -> None:
    error = DefectsFoundError("expw", [defect(line) for line in range(1, 1051)])
    message = str(error)
    assert message.startswith("expw: 1,050 defect(s), nothing was written:\n")
    assert "label.lst:20:" in message
    assert "label.lst:21:" not in message
    assert "... and 1,030 more" in message
    assert 'databases: expw: exclude: ["path:line"]' in message
    assert len(error.defects) == 1050


def test_few_defects_have_no_line_of_more() -> None:
    assert "more" not in str(DefectsFoundError("expw", [defect(1)]))


def test_a_database_that_is_not_found_shows_layout_and_three_ways_to_name_its_folder() -> None:
    message = str(DatabaseNotFoundError("disfa", Path("/data/x"), "Images/SN001/\n", because="the folder is empty"))
    assert message.startswith(
        "disfa: database not found in root '/data/x': the folder is empty.\nExpected layout:\nImages/SN001/\n"
    )
    for way in ("--root disfa=PATH", "AFFECT_ROOT_DISFA", "`root:` in the recipe"):
        assert way in message


def test_a_database_without_a_root_says_so() -> None:
    assert "(no root was given)" in str(DatabaseNotFoundError("disfa", None, "x", because="no folder is named for it"))


def test_an_unknown_name_lists_the_known_ones_in_order() -> None:
    assert (
        str(UnknownNameError("split", "dev", ["validation", "train"]))
        == "unknown split 'dev'; known: train, validation"
    )


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    error = UnknownNameError("split", "validaton", ["validation", "train"])
    assert str(error) == "unknown split 'validaton'; did you mean 'validation'? known: train, validation"


def test_a_recipe_error_lists_all_mistakes() -> None:
    error = RecipeError("data.yaml", ["a: one", "b: two"])
    assert str(error) == "data.yaml: 2 mistake(s):\n  a: one\n  b: two"
    assert error.mistakes == ("a: one", "b: two")


def test_a_schema_error_counts_names_the_rule_and_shows_rows() -> None:
    message = str(SchemaError("uid_is_unique", "no two rows share a uid", ["expw:a (label.lst:1)"], 1200))
    assert message.startswith(
        "1,200 row(s) break the rule 'uid_is_unique' (no two rows share a uid): expw:a (label.lst:1)."
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("x"), 1),
        (UsageError("x"), 2),
        (RecipeError("x", ["y"]), 2),
        (UnknownNameError("split", "x", []), 2),
        (DefectsFoundError("expw", [defect(1)]), 1),
        (DatabaseNotFoundError("expw", None, "x", because="y"), 1),
        (NotADatasetError(Path("x"), "y", "z"), 1),
        (SchemaError("x", "y", [], 1), 1),
    ],
)
def test_the_exit_status_tells_the_data_from_the_call(error: AffectError, status: int) -> None:
    assert error.exit_status == status
