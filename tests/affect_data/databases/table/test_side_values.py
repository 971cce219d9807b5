"""What a table says besides labels is kept in side groups: people, sides, scores, annotators, words of its own."""

from pathlib import Path
from typing import Any

import pytest
from own_tables import Scanned, write_table

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import open_dataset
from affect_data.errors import RecipeError
from affect_data.vocabulary import ACTION_UNIT_SLOTS

IMAGE = {"image": {"column": "file", "folder": "pictures"}}
ROWS: list[dict[str, Any]] = [
    {"file": "a.png", "emotion": "joyful", "age": 31.5, "gender": "F", "AU12": 1, "where": "L", "pain": 3.5,
     "e1": "fear", "v1": 9, "a1": 1, "u1": 1, "e2": "anger", "u2": 0},
    {"file": "b.png", "emotion": "elated", "age": "", "gender": "M", "AU12": 1, "where": "both", "pain": -2,
     "e1": "", "v1": "", "a1": "", "u1": "", "e2": "sad", "u2": ""},
    {"file": "c.png", "emotion": "", "age": 0, "gender": "", "AU12": 0, "where": "", "pain": "",
     "e1": "", "v1": "", "a1": "", "u1": "", "e2": "", "u2": ""},
    {"file": "d.png", "emotion": "joyful", "age": 99, "gender": "X", "AU12": "", "where": "", "pain": 0,
     "e1": "", "v1": 5, "a1": 3, "u1": 0, "e2": "", "u2": ""},
]  # fmt: skip
COLUMNS: dict[str, Any] = {
    **IMAGE,
    "expression": {"column": "emotion", "names": {"joyful": "happiness", "elated": "happiness"}},
    "action_units": {12: "AU12"},
    "age": "age",
    "sex": {"column": "gender", "names": {"F": "female", "M": "male"}},
    "native_expression": {"column": "emotion", "names": {"joyful": "joyful", "elated": "elated"}},
    "action_unit_sides": {12: {"column": "where", "names": {"L": "left"}}},
    "scores": {"pain": {"column": "pain", "meaning": "pain as told by the person"}},
    "valence_arousal_range": [1, 9],
    "raters": {
        "ann": {"expression": {"column": "e1"}, "valence": "v1", "arousal": "a1", "action_units": {12: "u1"}},
        "bob": {"expression": {"column": "e2", "names": {"sad": "sadness"}}, "action_units": {12: "u2"}},
    },
    "missing": {"gender": ["X"]},
}


@pytest.fixture
def told(own: Path) -> Path:
    """The folder of own data, whose table says more than labels."""
    write_table(own / "labels.csv", ROWS)
    return own


def test_a_built_dataset_has_everything_that_the_table_says(told: Path, tmp_path: Path) -> None:
    entry = {"reader": "table", "file": "labels.csv", "columns": COLUMNS}
    build(recipe_from({"databases": {"mine": entry}}), {"mine": told}, tmp_path / "merged")
    groups = ["people", "au_side", "native", "raters", "score_pain"]
    rows = open_dataset(tmp_path / "merged").labels("train", side=groups).sort("source_line")
    assert rows["age"].fill_nan(None).to_list() == [31.5, None, 0.0, 99.0]
    assert rows["age_mask"].to_list() == [True, False, True, True]
    assert rows["sex"].to_list() == ["female", "male", "", ""]
    assert rows["native_expression"].to_list() == ["joyful", "elated", "", "joyful"]
    assert rows["score_pain"].to_list()[:2] == [3.5, -2.0]
    assert [slots[ACTION_UNIT_SLOTS[12]] for slots in rows["au_side"].to_list()] == [0, 2, -1, -1]
    raters = rows["raters"].to_list()
    assert [[entry["rater"] for entry in said] for said in raters] == [["ann", "bob"], ["bob"], [], ["ann"]]
    assert (raters[0][0]["valence"], raters[0][0]["arousal"], raters[3][0]["valence"]) == (1.0, -1.0, 0.0)


def test_values_without_a_meaning_are_defects(told: Path, scanned: Scanned) -> None:
    wrong = [dict(row) for row in ROWS]
    wrong[0] |= {"age": 151, "gender": "q", "where": "up", "pain": "inf", "u1": 2}
    write_table(told / "labels.csv", wrong)
    found = {str(defect).partition("; to fix")[0] for defect in scanned(COLUMNS).defects}
    assert found == {
        "labels.csv:2: found age = '151'; expected a number from 0 to 150",
        "labels.csv:2: found gender = 'q'; expected one of F (female), M (male)",
        "labels.csv:2: found where = 'up'; expected one of left, right, both, top, bottom, L (left)",
        "labels.csv:2: found pain = 'inf'; expected a number",
        "labels.csv:2: found u1 = '2'; expected a whole number from 0 to 1",
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"scores": {"Pain!": "pain"}}, "scores: 'Pain!' is no name; use small letters, digits and _, a letter first"),
        ({"raters": {"ann": {}}}, "raters.ann names no column"),
        ({"raters": {"ann": {"valence": "v1"}}}, "raters.ann: valence and arousal come together"),
        ({"action_unit_sides": {99: "where"}}, "action_unit_sides: AU 99 not in the vocabulary"),
        ({"sex": {"column": "gender"}}, "columns.sex.names"),
    ],
)
def test_a_mistake_in_the_recipe_is_named(columns: dict[str, Any], message: str) -> None:
    entry = {"reader": "table", "file": "labels.csv", "columns": {**IMAGE, "expression": "emotion", **columns}}
    with pytest.raises(RecipeError) as error:
        recipe_from({"databases": {"mine": entry}})
    assert message in str(error.value)
