import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Features, Image, LargeList, List, Value

from affect_data.errors import DataError, RecipeError
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSIONS
from affect_train.inputs.foreign.mapping import MADE, RowMapping
from affect_train.recipe.dataset import ColumnOptions

FEATURES = Features(
    {
        "img": Image(),
        "label": ClassLabel(names=["Happy", "sad", "unsure"]),
        "code": Value("int64"),
        "word": Value("string"),
        "val": Value("float32"),
        "aro": Value("float64"),
        "AU01": Value("int8"),
        "AU02": Value("bool"),
        "aus": List(Value("float32")),
        "box": List(Value("int32"), length=4),
        "who": Value("int64"),
    }
)


def mapped(columns: dict[str, Any], rows: dict[str, list[Any]], features: Features = FEATURES) -> dict[str, list[Any]]:
    mapping = RowMapping("faces", ColumnOptions.model_validate({"image": "img", **columns}), features)
    kinds = features.arrow_schema
    table = pa.table({name: pa.array(values, kinds.field(name).type) for name, values in rows.items()})
    made = mapping(table, lambda row: f"faces:train/{row}", lambda row: f"split train, row {row}")
    assert made.column_names == list(MADE)
    assert mapping.features.arrow_schema.types == made.schema.types
    assert not any(column.null_count for column in made.columns)
    return made.to_pydict()


def named(codes: list[int]) -> list[str | None]:
    return [EXPRESSIONS[code] if code >= 0 else None for code in codes]


def test_the_classes_of_a_class_label_column_go_by_their_names() -> None:
    rows = {"label": [0, 1, 2, None, -1]}
    made = mapped({"expression": "label", "missing": {"label": ["unsure"]}}, rows)
    assert named(made["expression"]) == ["happiness", "sadness", None, None, None]
    assert made["expression_mask"] == [True, True, False, False, False]
    made = mapped({"expression": {"column": "label", "names": {"unsure": "other"}}}, rows)
    assert named(made["expression"]) == ["happiness", "sadness", "other", None, None]
    made = mapped({"expression": {"column": "label", "names": ["fear", "anger", "neutral"]}}, rows)
    assert named(made["expression"]) == ["fear", "anger", "neutral", None, None]


def test_codes_go_by_the_names_that_the_recipe_gives_them() -> None:
    rows = {"code": [1, 3, 7, None]}
    made = mapped(
        {"expression": {"column": "code", "names": {"1": "surprised", "3": "Disgust"}}, "missing": {"code": 7}}, rows
    )
    assert named(made["expression"]) == ["surprise", "disgust", None, None]
    listed = ["neutral", "happy", "sad", "fear"]
    made = mapped({"expression": {"column": "code", "names": listed}, "missing": {"code": [7]}}, rows)
    assert named(made["expression"]) == ["happiness", "fear", None, None]


def test_whole_floating_point_codes_are_codes() -> None:
    features = Features({**FEATURES, "code": Value("float64")})
    columns = {"expression": {"column": "code", "names": ["anger", "fear"]}}
    assert named(mapped(columns, {"code": [1.0, math.nan, None, 0.0]}, features)["expression"]) == [
        "fear",
        None,
        None,
        "anger",
    ]
    with pytest.raises(
        DataError, match=r"column 'code', split train, row 0: found 0.5; expected one of 0 \(anger\), 1 \(fear\)"
    ):
        mapped(columns, {"code": [0.5]}, features)


def test_texts_are_names_or_aliases_of_the_vocabulary() -> None:
    rows = {"word": [" HAPPY", "contempt", "joyful", "-", None]}
    made = mapped({"expression": {"column": "word", "names": {"joyful": "happiness"}}, "missing": {"word": "-"}}, rows)
    assert named(made["expression"]) == ["happiness", "contempt", "happiness", None, None]


def test_valence_and_arousal_are_scaled_and_a_half_pair_is_masked() -> None:
    rows = {"val": [1.0, 5.0, 9.0, None, -2.0], "aro": [9.0, 3.0, 1.0, 2.0, 2.0]}
    made = mapped({"valence": "val", "arousal": "aro", "valence_arousal_range": [1, 9], "missing": {"val": [-2]}}, rows)
    assert made["va_mask"] == [True, True, True, False, False]
    assert made["valence"][:3] == [-1.0, 0.0, 1.0]
    assert made["arousal"][:3] == [1.0, -0.5, -1.0]
    assert all(math.isnan(value) for value in made["valence"][3:] + made["arousal"][3:])


def test_values_in_the_range_of_the_schema_keep_their_bits() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    made = mapped({"valence": "val", "arousal": "aro"}, {"val": values.tolist(), "aro": values.tolist()})
    assert np.array_equal(np.array(made["valence"], np.float32), values)


def test_action_units_come_from_a_column_each_or_from_lists() -> None:
    made = mapped(
        {"action_units": {1: "AU01", 2: "AU02"}, "missing": {"AU01": 9}},
        {"AU01": [1, 0, 9], "AU02": [True, None, False]},
    )
    slots = [ACTION_UNIT_SLOTS[unit] for unit in (1, 2, 4)]
    assert [[row[slot] for slot in slots] for row in made["au"]] == [[1, 1, -1], [0, -1, -1], [-1, 0, -1]]
    assert [sum(row) for row in made["au_mask"]] == [2, 1, 1]
    lists = {"action_units": {"column": "aus", "numbers": [4, 1]}, "action_unit_threshold": 2}
    made = mapped(lists, {"aus": [[2.0, 1.5], None, [math.nan, 5.0]]})
    assert [[row[slot] for slot in slots] for row in made["au"]] == [[0, -1, 1], [-1, -1, -1], [1, -1, -1]]
    assert [sum(row) for row in made["au_mask"]] == [2, 0, 1]


def test_face_boxes_are_corners_or_a_corner_and_a_size() -> None:
    rows = {"box": [[1, 2, 11, 22], None]}
    assert mapped({"face_box": "box"}, rows)["face_box"][0] == [1, 2, 11, 22]
    made = mapped({"face_box": "box", "face_box_format": "corner_and_size"}, rows)["face_box"]
    assert made[0] == [1, 2, 12, 24]
    assert all(map(math.isnan, made[1]))
    with pytest.raises(
        DataError,
        match=r"column 'box', split train, row 1: found \[5, 5, 5, 9\]; expected a box \(corners\) of some width",
    ):
        mapped({"face_box": "box"}, {"box": [[1, 2, 11, 22], [5, 5, 5, 9]]})


def test_people_may_be_numbers_and_rows_are_named_by_their_place() -> None:
    made = mapped({"subject": "who", "expression": "word"}, {"who": [7, None], "word": ["fear", "fear"]})
    assert made["subject"] == ["7", ""]
    assert made["uid"] == ["faces:train/0", "faces:train/1"]
    with pytest.raises(
        DataError, match=r"column 'who', split train, row 1: found None; expected a unique name in every row"
    ):
        mapped({"uid": "who"}, {"who": [7, None]})


def test_all_mistakes_of_a_mapping_are_listed_at_once() -> None:
    columns = {
        "image": "who",
        "expression": {"column": "label", "names": {"Hapy": "happiness"}},
        "valence": "vall",
        "arousal": "word",
        "action_units": {1: "aus", 2: "AU02"},
        "subject": "person",
        "missing": {"AU02": "none", "label": "unclear"},
    }
    with pytest.raises(RecipeError) as caught:
        RowMapping("faces", ColumnOptions.model_validate(columns), FEATURES)
    known = "known: img, label, code, word, val, aro, AU01, AU02, aus, box, who"
    assert caught.value.mistakes == (
        f"dataset.columns.valence: the dataset has no column 'vall'; did you mean 'val'? {known}",
        "dataset.columns.arousal: column 'word' holds texts; expected numbers",
        "dataset.columns.action_units.1: column 'aus' holds lists of numbers; expected numbers",
        f"dataset.columns.subject: the dataset has no column 'person'; {known}",
        "dataset.columns.image: column 'who' holds numbers; expected an Image column, file bytes, or file paths",
        "dataset.columns.missing.AU02: 'none' is no number, the column holds numbers",
        "dataset.columns.expression: column 'label': names: the column has no class 'Hapy'; did you mean 'Happy'? known: Happy, sad, unsure",
        "dataset.columns.expression: column 'label': missing: the column has no class 'unclear'; known: Happy, sad, unsure",
        f"dataset.columns.expression: column 'label': 'unsure' is no expression; known: {', '.join(EXPRESSIONS)}. "
        "Name the expression under `names`, or the class under `columns.missing`",
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("code", r"column 'code': holds codes without names; say what they are called"),
        ({"column": "code", "names": {"one": "fear"}}, r"names: 'one' is no code, the column holds numbers"),
        ({"column": "code", "names": ["fear", "hapyness"]}, r"'hapyness' is no expression; did you mean 'happiness'\?"),
        ({"column": "word", "names": ["fear"]}, r"names: a list names codes, but the column holds texts"),
        (
            {"column": "label", "names": ["fear", "anger"]},
            r"names: found 2, but the column has 3 classes: Happy, sad, unsure",
        ),
        ("val", r"column 'val': holds codes without names"),
        ("AU02x", r"no column 'AU02x'; did you mean 'AU02'\?"),
    ],
)
def test_expressions_without_a_name_are_refused(expression: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RowMapping("faces", ColumnOptions.model_validate({"image": "img", "expression": expression}), FEATURES)


def test_values_that_are_no_labels_are_listed_by_column_with_their_first_row() -> None:
    columns = {"expression": {"column": "code", "names": ["fear"]}, "valence": "val", "arousal": "aro"}
    columns |= {"action_units": {1: "AU01"}}
    rows = {"code": [0, 4, 4], "val": [0.5, -5.0, 0.0], "aro": [0.0, math.inf, 0.0], "AU01": [0, 1, 3]}
    with pytest.raises(DataError) as caught:
        mapped(columns, rows)
    assert str(caught.value) == (
        "dataset 'faces': 4 column(s) hold values that are no labels:\n"
        "  column 'AU01', split train, row 2: found 3.0; expected 0 or 1 (intensities need `action_unit_threshold`)\n"
        "  column 'code', split train, row 1: found 4; expected one of 0 (fear) (2 rows like it)\n"
        "  column 'val', split train, row 1: found -5.0; expected a number from -1 to 1\n"
        "  column 'aro', split train, row 1: found inf; expected a number from -1 to 1\n"
        "Name a value that says that there is no label under `dataset.columns.missing`; else mend the dataset or its `columns`."
    )


def test_lists_of_another_length_and_intensities_beyond_the_scale_are_refused() -> None:
    columns = {"action_units": {"column": "aus", "numbers": [1, 2]}}
    with pytest.raises(DataError, match=r"column 'aus', split train, row 1: found \[1.0\]; expected 2 numbers"):
        mapped(columns, {"aus": [[0.0, 1.0], [1.0]]})
    with pytest.raises(DataError, match=r"row 0: found 6.0; expected an intensity from 0 to 5"):
        mapped({**columns, "action_unit_threshold": 2}, {"aus": [[0.0, 6.0]]})


def test_large_lists_and_large_texts_are_read() -> None:
    features = Features({**FEATURES, "aus": LargeList(Value("int64")), "word": Value("large_string")})
    made = mapped(
        {"action_units": {"column": "aus", "numbers": [1]}, "expression": "word", "track": "word"},
        {"aus": [[1], [0]], "word": ["sad", None]},
        features,
    )
    assert [row[0] for row in made["au"]] == [1, 0]
    assert named(made["expression"]) == ["sadness", None]
    assert made["track"] == ["sad", ""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"valence": "val"}, "valence and arousal come together"),
        ({"valence": "val", "arousal": "val"}, "val named twice; a column is one label"),
        ({"action_units": {1: "AU", 2: "AU"}}, "AU named twice"),
        ({"action_units": {3: "AU03"}}, "AU 3 not in the vocabulary"),
        ({"missing": {"label": [1]}}, "missing: label is no column of labels that is named here"),
        ({"valence": "v", "arousal": "a", "valence_arousal_range": [1, 1]}, "the lowest value comes first"),
        ({"action_unit_threshold": 2.0}, "action_unit_threshold without action_units"),
    ],
)
def test_columns_that_contradict_one_another_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ColumnOptions.model_validate({"image": "img", **columns})
