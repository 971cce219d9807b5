"""Side columns: what is declared becomes columns, and values come back from storage as they went in, whatever other databases add."""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_data.databases.afew_va import AfewVa
from affect_data.databases.affectnet.reader import AffectNet
from affect_data.databases.affwild2.reader import AffWild2
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.raf_db.reader import RafDb
from affect_data.databases.registry import DATABASES
from affect_data.databases.unbc.reader import Unbc
from affect_data.dataset.layout import Layout
from affect_data.dataset.schema import COLUMNS_BY_NAME, check_rules
from affect_data.dataset.side.columns import ClassColumn, NumberColumn, SidesColumn
from affect_data.dataset.side.groups import declared_columns
from affect_data.dataset.side.raters import RatersColumn
from affect_data.errors import SchemaError, UnknownNameError
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS, SIDES

SEX = ClassColumn(group="people", name="sex", classes=("female", "male"))
AGE = NumberColumn(group="people", name="age", low=0.0, high=150.0, masked=True)
SIDE = SidesColumn(group="au_side", name="au_side", units=(1, 12))
RATERS = RatersColumn(group="raters", name="raters", expressions=True, valence_arousal=True, action_units=(12,))

WIDER = {
    SEX: SEX.model_copy(update={"classes": ("unsure", "female", "other", "male")}),
    AGE: AGE,
    SIDE: SIDE.model_copy(update={"units": (1, 4, 12)}),
    RATERS: RATERS.model_copy(update={"action_units": (4, 12)}),
}
"""The columns as they are where another database is merged too."""

_UNIT = st.none() | st.floats(-1, 1, width=32)
_RATER = st.fixed_dictionaries(
    {
        "expression": st.none() | st.sampled_from(EXPRESSIONS),
        "valence": _UNIT,
        "arousal": _UNIT,
        "au_12": st.none() | st.integers(0, 1),
    }
)
_ROW = st.fixed_dictionaries(
    {
        "sex": st.none() | st.sampled_from(SEX.classes),
        "age": st.none() | st.floats(0, 150, width=32),
        "side_1": st.none() | st.sampled_from(SIDES),
        "side_12": st.none() | st.sampled_from(SIDES),
        "raters": st.dictionaries(st.sampled_from("abc"), _RATER),
    }
)
_TOLD = pl.Struct(
    {"rater": pl.String, "expression": pl.String, "valence": pl.Float32, "arousal": pl.Float32, "au_12": pl.Int8}
)
_SCHEMA = {
    **dict.fromkeys(("sex", "side_1", "side_12"), pl.String),
    "age": pl.Float32,
    "raters": pl.List(_TOLD),
}  # fmt: skip


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    told = [{**row, "raters": [{"rater": name, **said} for name, said in row["raters"].items()]} for row in rows]
    return pl.DataFrame(told, schema=_SCHEMA)


@settings(max_examples=25)
@given(st.lists(_ROW, max_size=5))
def test_values_come_back_from_storage_as_they_went_in(rows: list[dict[str, Any]]) -> None:
    given_rows = frame(rows)
    for column, wider in WIDER.items():
        for problem in column.problems(given_rows):
            assert given_rows.select(problem.value.alias("x"))["x"].null_count() == len(rows)
        unified = column.unified(given_rows)
        assert unified.null_count() == 0
        check_rules(_placed(pl.DataFrame([unified])), [column.rule()])
        for merged in (column, wider):
            stored = pa.table(merged.stored(unified))
            assert stored.cast(_schema(merged)).num_rows == len(rows)
            assert not [name for name in stored.column_names if stored[name].null_count]
            shown = merged.shown(stored)
            if isinstance(column, RatersColumn):
                back = [[_said(each) for each in row] for row in shown["raters"].to_list()]
                assert back == [[_expected(name, said) for name, said in row["raters"].items()] for row in rows]
            else:
                assert shown[column.name].equals(unified, null_equal=True)
            if (mask := f"{column.name}_mask") in shown.columns:
                assert shown[mask].to_list() == [row[column.name] is not None for row in rows]
        none = column.absent(3).alias(column.name)
        assert len(wider.shown(pa.table(wider.stored(none)))) == 3


@pytest.mark.parametrize(
    "raters", [[None, None], [[], None], [[{"rater": "a", "expression": None, "au_12": None}], []]]
)
def test_columns_without_a_value_have_no_type_and_are_fills(raters: list[Any]) -> None:
    none = [None, None]
    rows = pl.DataFrame({"sex": none, "age": none, "side_1": none, "side_12": none, "raters": raters})
    for column in (SEX, AGE, SIDE, RATERS):
        for problem in column.problems(rows):
            assert rows.select(problem.value.alias("x"))["x"].null_count() == 2
        assert len(column.shown(pa.table(column.stored(column.unified(rows))))) == 2
    assert SEX.unified(rows).to_list() == ["", ""]
    assert AGE.unified(rows).is_nan().all()
    assert [len(told or []) for told in raters] == RATERS.unified(rows).list.len().to_list()


def _schema(column: Any) -> pa.Schema:
    from datasets import Features

    return Features(column.features()).arrow_schema


def _placed(values: pl.DataFrame) -> pl.DataFrame:
    """The rows with what a rule tells of them, and all action units present."""
    present = np.ones((len(values), len(ACTION_UNITS)), np.int8)
    return values.with_columns(
        uid=pl.lit("x"), source_file=pl.lit("a"), source_line=pl.lit(1), au=pl.Series(present, dtype=pl.Array(pl.Int8, 40))
    )  # fmt: skip


def _said(entry: dict[str, Any]) -> tuple[object, ...]:
    numbers = (None if np.isnan(entry[name]) else entry[name] for name in ("valence", "arousal"))
    others = {value for unit, value in entry["au"].items() if unit != "AU12"}
    assert others <= {-1}
    return (entry["rater"], entry["expression"], *numbers, entry["au"]["AU12"])


def _expected(name: str, said: dict[str, Any]) -> tuple[object, ...]:
    code = -1 if said["expression"] is None else EXPRESSIONS.index(said["expression"])
    return (name, code, said["valence"], said["arousal"], -1 if said["au_12"] is None else said["au_12"])


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        (SEX, ["female", "Female"], "sex_is_a_class_or_masked"),
        (AGE, [20.0, 151.0], "age_is_a_number_or_missing"),
        (AGE, [20.0, float("inf")], "age_is_a_number_or_missing"),
    ],
)
def test_each_rule_is_broken_by_what_it_names(column: Any, values: list[Any], rule: str) -> None:
    with pytest.raises(SchemaError, match=rf"1 row\(s\) break the rule '{rule}'"):
        check_rules(_placed(pl.DataFrame({column.name: values})), [column.rule()])


def test_a_side_of_an_absent_action_unit_breaks_its_rule() -> None:
    rows = _placed(pl.DataFrame([SIDE.unified(pl.DataFrame({"side_1": ["left"], "side_12": ["top"]}))]))
    check_rules(rows, [SIDE.rule()])
    absent = np.zeros((1, len(ACTION_UNITS)), np.int8)
    with pytest.raises(SchemaError, match="au_side_is_of_present_action_units"):
        check_rules(rows.with_columns(au=pl.Series(absent, dtype=pl.Array(pl.Int8, 40))), [SIDE.rule()])


# ---------------------------------------------------------------- what databases declare


def test_readers_declare_what_their_files_say() -> None:
    def of(*databases: Any) -> list[tuple[str, str]]:
        return [(column.group, column.name) for column in declared_columns(databases)]

    assert of(Disfa, AffWild2, AfewVa) == []
    scores = [(name, name) for name in ("aff", "opr", "pspi", "sen", "vas")]
    assert of(Unbc) == scores
    assert of(AffectNet) == [("native", "native_expression")]
    assert of(RafDb, Unbc) == [("people", "age_band"), ("people", "sex"), ("people", "ethnicity"), *scores]


def test_no_side_column_has_the_name_of_another_column() -> None:
    columns = declared_columns(DATABASES.values())
    names = [name for column in columns for name in column.features()]
    assert len(set(names)) == len(names)
    assert not set(names) & set(COLUMNS_BY_NAME)


def test_words_of_several_databases_stand_in_their_own_order_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AffectNet, "people", {"sex": ("m", "f"), "age_band": ("young", "old")})
    monkeypatch.setattr(Unbc, "people", {"sex": ("f", "x"), "age": ()})
    found = {column.name: column for column in declared_columns([Unbc, AffectNet]) if column.group == "people"}
    assert list(found) == ["age", "age_band", "sex"]
    assert found["sex"] == ClassColumn(group="people", name="sex", classes=("m", "f", "x"))


def test_people_are_declared_by_known_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unbc, "people", {"gender": ("m", "f")})
    with pytest.raises(
        UnknownNameError, match=r"unknown column that a database declares in `people` 'gender'; .*known: age"
    ):
        declared_columns([Unbc])


def test_a_layout_comes_back_from_the_manifest() -> None:
    layout = Layout.of([RafDb, Unbc, AffectNet], [])
    layout = layout.model_copy(update={"declared": (*layout.declared, SIDE, RATERS)})
    assert Layout.model_validate_json(layout.model_dump_json()) == layout


# ---------------------------------------------------------------- what they take


def test_a_class_takes_eight_bytes_a_row_and_a_group_nothing_where_it_is_not_declared() -> None:
    """The labels of Aff-Wild2, AffectNet and DISFA are as large as without side groups; AffectNet's own classes take 8.1 bytes a row more."""
    layout = Layout.of([AffWild2, AffectNet, Disfa], [])
    assert layout.side_groups == ("native",)
    rows = pl.DataFrame({"native_expression": ["Happy", "None", "", "Uncertain"] * 2000})
    assert layout.stored(rows, "native").nbytes / len(rows) == pytest.approx(8.125)
    people = Layout.of([RafDb], []).stored(pl.DataFrame({"x": range(8000)}), "people")
    assert people.nbytes / len(people) == pytest.approx(3 * 8.125)
