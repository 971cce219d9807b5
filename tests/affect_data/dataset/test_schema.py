"""The column contract: types, fills and every named rule, each broken on purpose."""

import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from datasets import ClassLabel, Image

from affect_data.build.build import BuildReport
from affect_data.dataset import schema
from affect_data.dataset.schema import (
    COLUMNS,
    COLUMNS_BY_NAME,
    FRAMES,
    IMAGES,
    LABEL_COLUMNS,
    LABELS,
    RULES,
    arrow_schema,
    check_rules,
    features,
)
from affect_data.dataset.schema_page import schema_page
from affect_data.errors import SchemaError
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

NAN = math.nan
SLOTS = len(ACTION_UNITS)

# The names and types of the design's table, written down once more.
DESIGN = {
    "uid": "string",
    "release": "string",
    "subject": "string",
    "track": "string",
    "frame": "int32",
    "face": "int16",
    "source_file": "string",
    "source_line": "int32",
    "label_scope": "int64",
    "au": "fixed_size_list<item: int8>[40]",
    "au_intensity": "fixed_size_list<item: float>[40]",
    "au_mask": "fixed_size_list<item: bool>[40]",
    "au_intensity_mask": "fixed_size_list<item: bool>[40]",
    "expression_votes": "fixed_size_list<item: float>[9]",
    "expression_mask": "bool",
    "compound_expression_mask": "bool",
    "valence": "float",
    "arousal": "float",
    "va_mask": "bool",
    "face_box": "fixed_size_list<item: float>[4]",
    "image_digest": "string",
    "frames": "list<item: struct<bytes: binary, path: string>>",
}


@pytest.fixture(scope="module")
def rows(demo_report: BuildReport) -> pl.DataFrame:
    """Six rows of a built dataset, so that breaking one leaves five that hold."""
    return demo_report.dataset.labels("train").head(6)


def test_columns_have_the_types_of_the_design() -> None:
    assert {name: str(COLUMNS_BY_NAME[name].type) for name in DESIGN} == DESIGN
    assert set(COLUMNS_BY_NAME) - set(DESIGN) == {"database", "expression", "compound_expression", "image"}


@pytest.mark.parametrize("group", [LABELS, IMAGES, FRAMES])
def test_hugging_face_features_store_exactly_the_arrow_types(group: str) -> None:
    assert features(group, ["expw"]).arrow_schema.remove_metadata() == arrow_schema(group)


def test_classes_go_by_name_and_databases_are_alphabetical() -> None:
    described = features(LABELS, ["expw", "affectnet"])
    assert described["database"] == ClassLabel(names=["affectnet", "expw"])
    assert described["expression"].names == list(EXPRESSIONS)
    assert described["compound_expression"].names == list(COMPOUND_EXPRESSIONS)
    assert features(IMAGES, ["expw"]) == {"image": Image()}


@pytest.mark.parametrize(
    "column", [c for c in COLUMNS if c.class_names and c.missing is not None], ids=lambda c: c.name
)
def test_the_fill_of_a_class_is_no_class(column: Any) -> None:
    label = features(LABELS, ["expw"])[column.name]
    assert column.missing == -1
    assert label.encode_example(-1) == -1
    with pytest.raises(ValueError, match=r"Invalid integer class label -1"):
        label.int2str(-1)


def test_rows_of_a_build_hold_every_rule(demo_report: BuildReport) -> None:
    for split in demo_report.dataset.splits:
        check_rules(demo_report.dataset.labels(split))


def test_no_column_of_a_build_has_an_arrow_null(demo_report: BuildReport) -> None:
    for split in demo_report.dataset.splits:
        table = demo_report.dataset.load(split).data.table
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            assert column.null_count == 0, name
            if pa.types.is_fixed_size_list(column.type):
                assert column.flatten().null_count == 0, name
            if pa.types.is_struct(column.type):
                assert [child.null_count for child in column.flatten()] == [0] * column.type.num_fields, name


def test_an_empty_frame_holds_every_rule() -> None:
    check_rules(pl.DataFrame(schema={column.name: pl.String for column in LABEL_COLUMNS}))


# ---------------------------------------------------------------- each rule broken


def first(rows: pl.DataFrame, **values: Any) -> pl.DataFrame:
    """The rows, the first with other values."""
    others = rows.slice(1)
    changed = rows.head(1).with_columns(
        pl.Series(name, [value], dtype=rows.schema[name]) for name, value in values.items()
    )
    return pl.concat([changed, others])


def slot(rows: pl.DataFrame, column: str, index: int, value: Any) -> list[Any]:
    values = rows[column][0].to_list()
    values[index] = value
    return values


def one_vote(*shares: float | None) -> list[float | None]:
    return [*shares, *([0.0] * (len(EXPRESSIONS) - len(shares)))]


BROKEN: list[tuple[str, str, Callable[[pl.DataFrame], pl.DataFrame]]] = [
    ("uid_is_unique", "twice", lambda rows: first(rows, uid=rows["uid"][1])),
    ("source_is_relative", "absolute", lambda rows: first(rows, source_file="/data/x.txt")),
    ("source_is_relative", "drive", lambda rows: first(rows, source_file="C:\\x.txt")),
    ("source_is_relative", "backslash", lambda rows: first(rows, source_file="label\\x.txt")),
    ("source_is_relative", "outside", lambda rows: first(rows, source_file="label/../../x.txt")),
    ("source_is_relative", "empty", lambda rows: first(rows, source_file="")),
    ("source_is_relative", "line 0", lambda rows: first(rows, source_line=0)),
    ("source_is_relative", "null", lambda rows: first(rows, source_line=None)),
    ("action_units_are_labels_or_masked", "code 2", lambda rows: first(rows, au=slot(rows, "au", 3, 2))),
    ("action_units_are_labels_or_masked", "code 9", lambda rows: first(rows, au=slot(rows, "au", 0, 9))),
    ("action_units_are_labels_or_masked", "null", lambda rows: first(rows, au=slot(rows, "au", 0, None))),
    ("action_units_are_labels_or_masked", "fill as label", lambda rows: first(rows, au_mask=[True] * SLOTS, au=[-1] * SLOTS)),
    ("action_units_are_labels_or_masked", "label masked", lambda rows: first(rows, au_mask=[False] * SLOTS, au=[0] * SLOTS)),
    (
        "action_unit_intensities_are_labels_or_masked",
        "above 5",
        lambda rows: first(rows, au_intensity=[5.5] * SLOTS, au_intensity_mask=[True] * SLOTS),
    ),
    (
        "action_unit_intensities_are_labels_or_masked",
        "negative",
        lambda rows: first(rows, au_intensity=[-1.0] * SLOTS, au_intensity_mask=[True] * SLOTS),
    ),
    (
        "action_unit_intensities_are_labels_or_masked",
        "not a number as label",
        lambda rows: first(rows, au_intensity=[NAN] * SLOTS, au_intensity_mask=[True] * SLOTS),
    ),
    (
        "action_unit_intensities_are_labels_or_masked",
        "null",
        lambda rows: first(rows, au_intensity=slot(rows, "au_intensity", 5, None)),
    ),
    ("expression_is_a_class_or_masked", "code 9", lambda rows: first(rows, expression=9, expression_mask=True)),
    ("expression_is_a_class_or_masked", "code -2", lambda rows: first(rows, expression=-2, expression_mask=True)),
    ("expression_is_a_class_or_masked", "fill as label", lambda rows: first(rows, expression=-1, expression_mask=True)),
    ("expression_is_a_class_or_masked", "label masked", lambda rows: first(rows, expression=0, expression_mask=False)),
    ("expression_is_a_class_or_masked", "null", lambda rows: first(rows, expression=None, expression_mask=False)),
    (
        "compound_expression_is_a_class_or_masked",
        "code 17",
        lambda rows: first(rows, compound_expression=17, compound_expression_mask=True),
    ),
    (
        "compound_expression_is_a_class_or_masked",
        "fill as label",
        lambda rows: first(rows, compound_expression=-1, compound_expression_mask=True),
    ),
    ("votes_are_shares", "sum above 1", lambda rows: first(rows, expression_votes=one_vote(0.6, 0.6))),
    ("votes_are_shares", "negative", lambda rows: first(rows, expression_votes=one_vote(-0.1))),
    ("votes_are_shares", "counts", lambda rows: first(rows, expression_votes=one_vote(7.0, 3.0))),
    ("votes_are_shares", "some not a number", lambda rows: first(rows, expression_votes=one_vote(NAN, 1.0))),
    ("votes_are_shares", "null share", lambda rows: first(rows, expression_votes=one_vote(None, 1.0))),
    ("votes_are_shares", "null fill", lambda rows: first(rows, expression_votes=[None, *[NAN] * 8])),
    ("valence_and_arousal_are_labels_or_masked", "sentinel", lambda rows: first(rows, valence=-5.0, arousal=-5.0, va_mask=True)),
    ("valence_and_arousal_are_labels_or_masked", "above 1", lambda rows: first(rows, valence=1.01, arousal=0.0, va_mask=True)),
    ("valence_and_arousal_are_labels_or_masked", "half", lambda rows: first(rows, valence=0.5, arousal=NAN, va_mask=True)),
    ("valence_and_arousal_are_labels_or_masked", "half masked", lambda rows: first(rows, valence=0.5, arousal=NAN, va_mask=False)),
    ("valence_and_arousal_are_labels_or_masked", "label masked", lambda rows: first(rows, valence=0.5, arousal=0.5, va_mask=False)),
    ("valence_and_arousal_are_labels_or_masked", "null", lambda rows: first(rows, valence=None, arousal=None, va_mask=False)),
    ("face_box_has_area", "flat", lambda rows: first(rows, face_box=[1.0, 1.0, 1.0, 5.0])),
    ("face_box_has_area", "turned", lambda rows: first(rows, face_box=[5.0, 1.0, 1.0, 5.0])),
    ("face_box_has_area", "half missing", lambda rows: first(rows, face_box=[NAN, 1.0, 4.0, 5.0])),
    ("face_box_has_area", "infinite", lambda rows: first(rows, face_box=[0.0, 1.0, math.inf, 5.0])),
    ("face_box_has_area", "null side", lambda rows: first(rows, face_box=[None, 1.0, 4.0, 5.0])),
    ("face_box_has_area", "null fill", lambda rows: first(rows, face_box=[None, NAN, NAN, NAN])),
    ("clip_is_one_track", "another scope", lambda rows: first(rows, label_scope=2)),
    ("clip_is_one_track", "null", lambda rows: first(rows, label_scope=None)),
    ("clip_is_one_track", "a frame", lambda rows: first(rows, label_scope=1, track="a", face_box=[NAN] * 4, frame=0)),
    ("clip_is_one_track", "no track", lambda rows: first(rows, label_scope=1, track="", face_box=[NAN] * 4, frame=-1)),
    ("clip_is_one_track", "a box", lambda rows: first(rows, label_scope=1, track="a", face_box=[1.0, 1.0, 2.0, 2.0], frame=-1)),
    ("image_digest_is_sha256", "empty", lambda rows: first(rows, image_digest="")),
    ("image_digest_is_sha256", "sha1", lambda rows: first(rows, image_digest="0" * 40)),
    ("image_digest_is_sha256", "capitals", lambda rows: first(rows, image_digest="A" * 64)),
]  # fmt: skip


def test_every_rule_is_broken_below() -> None:
    assert {name for name, _, _ in BROKEN} == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("name", "breakage"), [(n, b) for n, _, b in BROKEN], ids=[f"{n}: {how}" for n, how, _ in BROKEN]
)
def test_a_broken_row_is_refused_by_the_name_of_its_rule(
    rows: pl.DataFrame, name: str, breakage: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    check_rules(rows)
    with pytest.raises(SchemaError, match=rf"^[12] row\(s\) break the rule '{name}'"):
        check_rules(breakage(rows))


def test_a_clip_with_a_track_and_neither_frame_nor_box_holds_every_rule(rows: pl.DataFrame) -> None:
    check_rules(first(rows, label_scope=1, track="a", face_box=[NAN] * 4, frame=-1))


def test_the_refusal_counts_all_rows_and_shows_three_with_their_lines(rows: pl.DataFrame) -> None:
    wrong = rows.with_columns(pl.lit("x").alias("image_digest"))
    place = f"{rows['uid'][0]} ({rows['source_file'][0]}:{rows['source_line'][0]})"
    with pytest.raises(SchemaError) as caught:
        check_rules(wrong)
    message = str(caught.value)
    assert message.startswith(
        "6 row(s) break the rule 'image_digest_is_sha256' (`image_digest` is 64 hexadecimal digits): "
    )
    assert place in message
    assert rows["uid"][3] not in message


# ---------------------------------------------------------------- the page


def test_the_refusal_counts_the_rows_of_all_parts_in_which_they_are_looked_at(
    rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "ROWS_AT_ONCE", 2)
    check_rules(rows)
    wrong = rows.with_columns(expression=pl.when(pl.int_range(pl.len()) % 2 == 0).then(12).otherwise("expression"))
    with pytest.raises(SchemaError) as caught:
        check_rules(wrong)
    assert str(caught.value).startswith("3 row(s) break the rule 'expression_is_a_class_or_masked'")
    assert all(uid in str(caught.value) for uid in rows["uid"][::2])


def test_the_page_has_a_line_for_every_column_and_every_rule() -> None:
    lines = [line.split("`")[1] for line in schema_page().splitlines() if line.startswith("| `")]
    side = ("people", "people", "people", "people", "au_side", "raters", "native", "time", "<score>")
    assert lines[: len(COLUMNS) + len(side)] == [*(column.name for column in COLUMNS), *side]
    rules = lines[len(COLUMNS) + len(side) :]
    assert rules[: len(RULES)] == [rule.name for rule in RULES]
    assert rules[len(RULES) :][:3] == [
        "age_is_a_number_or_missing",
        "age_band_is_a_class_or_masked",
        "sex_is_a_class_or_masked",
    ]


def test_the_page_says_what_is_stored(demo_report: BuildReport) -> None:
    lines = {line.split("`")[1]: line for line in schema_page().splitlines() if line.startswith("| `")}
    table = demo_report.dataset.load("train").data.table
    for name in ("uid", "database", "frame", "face", "expression", "valence", "va_mask", "image_digest"):
        assert lines[name].split(" | ")[2] == f"`{table.schema.field(name).type}`"
    assert "`struct<AU<n>: int8>`" in lines["au"]
    assert "`struct<AU<n>: int8> or struct<AU<n>: float>`" in lines["au_intensity"]


def test_the_page_in_docs_is_the_one_that_the_code_writes(request: pytest.FixtureRequest) -> None:
    written = (request.config.rootpath / "docs" / "schema.md").read_text(encoding="utf-8")
    assert written == schema_page(), "docs/schema.md is stale: run `make docs`"
