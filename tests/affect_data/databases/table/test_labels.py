"""What columns mean is said in the recipe: nothing is guessed, and what is no label names column, value and line."""

from pathlib import Path
from typing import Any

import pytest
from own_tables import COLUMNS, ROWS, Scanned, write_table

from affect_data.build.recipe import recipe_from
from affect_data.errors import RecipeError


def faces(own: Path, **columns: list[Any]) -> None:
    """Writes a table with these columns, and a picture for each row."""
    pictures = [row["file"] for row in ROWS]
    rows = [
        dict(zip(["file", *columns], values, strict=True)) for values in zip(pictures, *columns.values(), strict=False)
    ]
    write_table(own / "labels.csv", rows)


IMAGE = {"image": {"column": "file", "folder": "pictures"}}


def test_a_value_without_a_meaning_is_a_defect_and_the_same_mistake_in_many_columns_is_one(
    own: Path, scanned: Scanned
) -> None:
    faces(own, emotion=[0, 7, 1, 1], au1=[0, 1, 9, 1], au2=["x", 1, 1, 0], v=[0.5, 2, "nan", ""], a=[0, 0, 0, 0])
    columns = {**IMAGE, "expression": {"column": "emotion", "names": ["fear", "anger"]}, "valence": "v", "arousal": "a"}
    found = [str(defect) for defect in scanned({**columns, "action_units": {"1": "au1", "2": "au2"}}).defects]
    assert [text.partition("; to fix")[0] for text in found] == [
        "labels.csv:2: found au2 = 'x'; expected a whole number from 0 to 1",
        "labels.csv:3: found emotion = '7'; expected one of 0 (fear), 1 (anger)",
        "labels.csv:3: found v = '2'; expected a number from -1 to 1",
        "labels.csv:4: found au1 = '9'; expected a whole number from 0 to 1",
        "labels.csv:4: found v = 'nan'; expected a number from -1 to 1",
    ]


def test_names_are_those_of_the_vocabulary_in_any_spelling_unless_the_recipe_says_otherwise(
    own: Path, scanned: Scanned
) -> None:
    faces(own, emotion=["Happy", "SAD", "anger", "joyful"])
    scan = scanned({**IMAGE, "expression": {"column": "emotion", "names": {"joyful": "happiness", "anger": "disgust"}}})
    assert scan.rows["expression"].to_list() == ["happiness", "sadness", "disgust", "happiness"]
    assert "joyful = happiness in 1 rows" in " ".join(scan.notes)
    (defect,) = scanned({**IMAGE, "expression": "emotion"}).defects
    assert "emotion = 'joyful'" in str(defect)


def test_numbers_without_names_are_no_classes(own: Path, scanned: Scanned) -> None:
    faces(own, emotion=[0, 1, 2, 3])
    assert [defect.found for defect in scanned({**IMAGE, "expression": "emotion"}).defects] == [
        f"emotion = '{n}'" for n in range(4)
    ]


def test_the_same_number_in_another_spelling_means_the_same(own: Path, scanned: Scanned) -> None:
    faces(own, emotion=["0.0", " 1", "'1'", "9.0"])
    columns = {
        **IMAGE,
        "expression": {"column": "emotion", "names": {"0": "fear", "1.0": "anger"}},
        "missing": {"emotion": [9]},
    }
    assert scanned(columns).rows["expression"].to_list() == ["fear", "anger", "anger", None]


def test_an_intensity_is_no_occurrence_unless_a_threshold_of_its_own_says_so(own: Path, scanned: Scanned) -> None:
    faces(own, AU01_r=[0.5, 1, 4.5, ""], AU02_r=[0, 1, 2, 3], AU28_c=[0, 1, 1, 0])
    units = {"1": {"intensity": "AU01_r"}, "2": {"intensity": "AU02_r", "threshold": 1}, "28": "AU28_c"}
    rows = scanned({**IMAGE, "action_units": units}).rows
    assert "au_1" not in rows.columns
    assert rows["au_intensity_1"].to_list() == [0.5, 1.0, 4.5, None]
    assert rows["au_2"].to_list() == [0, 1, 1, 1]
    assert rows["au_28"].to_list() == [0, 1, 1, 0]


def test_lists_in_one_column_are_action_units_in_the_stated_order(own: Path, scanned: Scanned) -> None:
    rows = [
        {"file": row["file"], "aus": units, "box": box}
        for row, units, box in zip(ROWS, ([0, 1], [1, 9], None, [1, 1]), ([1, 2, 8, 9],) * 4, strict=True)
    ]
    write_table(own / "labels.parquet", rows)
    units = {"column": "aus", "numbers": [12, 4]}
    columns = {
        **IMAGE,
        "action_units": units,
        "face_box": "box",
        "face_box_format": "corner_and_size",
        "missing": {"aus[1]": 9},
    }
    scan = scanned(columns, file="labels.parquet")
    assert scan.defects == ()
    assert scan.rows.select("au_12", "au_4").rows() == [(0, 1), (1, None), (None, None), (1, 1)]
    assert scan.rows["face_box"].to_list()[0] == [1.0, 2.0, 9.0, 11.0]


def test_boxes_with_a_side_missing_or_without_area_are_defects(own: Path, scanned: Scanned) -> None:
    faces(own, emotion=["fear"] * 4, x0=[0, 5, "", 1], y0=[0, 0, "", 1], x1=[9, 5, "", 8], y1=["", 9, "", 8])
    scan = scanned({**IMAGE, "expression": "emotion", "face_box": ["x0", "y0", "x1", "y1"]})
    assert {defect.line for defect in scan.defects} == {2, 3}
    assert scan.rows["face_box"].to_list()[2:] == [None, [1.0, 1.0, 8.0, 8.0]]


def test_votes_are_shares_and_decide_where_there_is_no_class(own: Path, scanned: Scanned) -> None:
    faces(own, happy=[8, 4, 5, 0], sad=[2, 4, 0, 0], unknown=[0, 2, 5, 0])
    votes = {"votes": {"happiness": "happy", "sad": "sad"}, "votes_for_none": ["unknown"]}
    rows = scanned({**IMAGE, **votes}, rule="plurality").rows
    assert rows.select("votes_happiness", "votes_sadness").rows() == [(0.8, 0.2), (0.4, 0.4), (0.5, 0.0), (None, None)]
    assert rows["expression"].to_list() == ["happiness", None, None, None]


def test_a_class_that_is_not_the_most_voted_is_masked(own: Path, scanned: Scanned) -> None:
    faces(own, emotion=["happy", "sad", "sad", "anger"], h=[3, 3, 1, 9], s=[0, 1, 1, 0])
    rows = scanned({**IMAGE, "expression": "emotion", "votes": {"happiness": "h", "sadness": "s"}}).rows
    assert rows["expression"].to_list() == ["happiness", None, "sadness", "anger"]
    assert rows["expression_masked"].to_list() == [None, "the class is not the most voted", None, None]


def test_folders_that_are_called_after_classes_contradict_a_column_in_another_order(
    own: Path, scanned: Scanned
) -> None:
    write_table(
        own / "labels.csv",
        [{"file": f"{name}/{n}.png", "code": code} for code, name in enumerate(("fear", "happy")) for n in range(2)],
    )
    columns = {"image": "file", "expression": {"column": "code", "names": ["happiness", "fear"]}}
    (defect,) = scanned(columns).defects
    assert defect.found == "happiness for a picture in a folder of fear, and 3 more of 4 rows"
    assert scanned({**columns, "expression": {"column": "code", "names": ["fear", "happiness"]}}).defects == ()


def test_a_subject_may_be_a_part_of_a_name(own: Path, scanned: Scanned) -> None:
    faces(own, emotion=["fear", "fear", "fear", "fear"])
    columns = {**IMAGE, "expression": "emotion", "subject": {"column": "file", "pattern": r"^([a-c])"}}
    scan = scanned(columns)
    assert scan.rows["subject"].to_list() == ["a", "b", "c", None]
    assert [defect.line for defect in scan.defects] == [5]


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        ({"columns": {**COLUMNS, "expression": {"column": "emotion", "names": ["happy", "joy"]}}}, "happy, joy are the same class"),
        ({"columns": {**COLUMNS, "expression": {"column": "emotion", "names": ["glad"]}}}, "'glad' is no class"),
        ({"columns": {**COLUMNS, "valence": "emotion"}}, "emotion named twice"),
        ({"columns": {**COLUMNS, "action_units": {"3": "AU03"}}}, "AU 3 not in the vocabulary"),
        ({"columns": {**COLUMNS, "action_units": {"1": {"occurrence": "AU01_c", "threshold": 2}}}}, "a threshold makes occurrence of intensity"),
        ({"columns": {**COLUMNS, "valence_arousal_range": [9, 1]}}, "the lowest value comes first"),
        ({"columns": {**COLUMNS, "missing": {"emotions": 9}}}, "emotions is no column that is named here"),
        ({"columns": {"image": "file"}}, "columns names no label"),
        ({"file": "/data/labels.csv"}, "leaves the root"),
        ({"file": "../labels.csv"}, "leaves the root"),
        ({"licence": {"publishes": "full"}}, "by terms that nobody read"),
        ({"class_folders": "."}, "found file and class_folders"),
        ({"colums": {}}, "unknown key; did you mean 'columns'?"),
    ],
)  # fmt: skip
def test_a_description_that_contradicts_itself_is_a_mistake(entry: dict[str, Any], mistake: str) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe_from({"databases": {"mine": {"reader": "table", "file": "labels.csv", "columns": COLUMNS, **entry}}})
    assert mistake in str(refused.value)


@pytest.mark.parametrize(
    ("name", "mistake"),
    [("expw", "is a name of ExpW"), ("RAF", "is a name of RAF-DB"), ("My faces", "is no name for own data")],
)
def test_own_data_is_not_called_like_a_database(name: str, mistake: str) -> None:
    with pytest.raises(RecipeError, match=mistake):
        recipe_from({"databases": {name: {"reader": "table", "file": "labels.csv", "columns": COLUMNS}}})


def test_an_unknown_reader_is_a_mistake() -> None:
    with pytest.raises(RecipeError, match="found 'tables'; expected 'table'"):
        recipe_from({"databases": {"mine": {"reader": "tables", "file": "labels.csv", "columns": COLUMNS}}})
