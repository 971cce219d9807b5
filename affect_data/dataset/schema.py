"""The column contract of a merged dataset: names, Arrow types, fills for missing values, and the named rules that every row obeys.

A missing value is a fill that cannot be mistaken for a label (-1 for classes and action units, NaN for numbers), with an explicit mask. Arrow nulls
are not used, because with them the dtype of a batch would depend on its content.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.errors import SchemaError
from affect_data.vocabulary import (
    ACTION_UNITS,
    CLIP_SCOPE,
    COMPOUND_EXPRESSIONS,
    EXPRESSIONS,
    FRAME_SCOPE,
    LABEL_SCOPES,
)

if TYPE_CHECKING:
    from datasets import Features

SCHEMA_VERSION: Final = 2

MISSING_CLASS: Final = -1
MISSING_INDEX: Final = -1
MISSING_NUMBER: Final = math.nan

ROWS_AT_ONCE: Final = 1 << 17
"""Rows whose columns are looked at together; of more rows at once, the slots of action units alone would fill the memory."""

IMAGES: Final = "images"
FRAMES: Final = "frames"
LABELS: Final = "labels"

PICTURE: Final = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@dataclass(frozen=True)
class Column:
    """One column of the dataset.

    Attributes:
        name: column name.
        type: Arrow storage type.
        group: the column group that holds it.
        missing: the fill for no value; None if there always is a value.
        values: describes its values, for the pages.
        class_names: names of the classes, if the column is a ClassLabel.
    """

    name: str
    type: pa.DataType
    group: str
    missing: float | str | None
    values: str
    class_names: tuple[str, ...] = ()


def _per_action_unit(value: pa.DataType) -> pa.DataType:
    return pa.list_(value, len(ACTION_UNITS))


_UNIT_NUMBERS = f"slot i is AU ACTION_UNITS[i], {len(ACTION_UNITS)} slots"

COLUMNS: Final[tuple[Column, ...]] = (
    Column("uid", pa.string(), LABELS, None, "unique: `database:track-or-file/frame#face`"),
    Column("database", pa.int64(), LABELS, None, "ClassLabel of the merged databases, alphabetical", ("",)),
    Column("release", pa.string(), LABELS, "", "release profile of the database"),
    Column("subject", pa.string(), LABELS, "", "person, or the group that stands for one"),
    Column("track", pa.string(), LABELS, "", "video, or one person's part of it"),
    Column("frame", pa.int32(), LABELS, -1, "frame number as the database counts"),
    Column("face", pa.int16(), LABELS, -1, "face number within the picture, where it holds several"),
    Column("source_file", pa.string(), LABELS, None, "annotation file, relative to the database root"),
    Column("source_line", pa.int32(), LABELS, None, "1-based line of the annotation"),
    Column("label_scope", pa.int64(), LABELS, None, "ClassLabel: frame, clip; what the labels hold for", LABEL_SCOPES),
    Column("au", _per_action_unit(pa.int8()), LABELS, MISSING_CLASS, f"0 absent, 1 present; {_UNIT_NUMBERS}"),
    Column("au_mask", _per_action_unit(pa.bool_()), LABELS, None, "whether `au` is a label, slot by slot"),
    Column("au_intensity", _per_action_unit(pa.float32()), LABELS, MISSING_NUMBER, f"0..5 (A..E = 1..5); {_UNIT_NUMBERS}"),
    Column("au_intensity_mask", _per_action_unit(pa.bool_()), LABELS, None, "whether `au_intensity` is a label, slot by slot"),
    Column("expression", pa.int64(), LABELS, MISSING_CLASS, "ClassLabel: " + ", ".join(EXPRESSIONS), EXPRESSIONS),
    Column("expression_mask", pa.bool_(), LABELS, None, "whether `expression` is a label"),
    Column(
        "expression_votes",
        pa.list_(pa.float32(), len(EXPRESSIONS)),
        LABELS,
        MISSING_NUMBER,
        "annotators' shares by expression; they sum to less than 1 where some voted for none",
    ),
    Column("compound_expression", pa.int64(), LABELS, MISSING_CLASS, "ClassLabel: " + ", ".join(COMPOUND_EXPRESSIONS), COMPOUND_EXPRESSIONS),
    Column("compound_expression_mask", pa.bool_(), LABELS, None, "whether `compound_expression` is a label"),
    Column("valence", pa.float32(), LABELS, MISSING_NUMBER, "[-1, 1]"),
    Column("arousal", pa.float32(), LABELS, MISSING_NUMBER, "[-1, 1]"),
    Column("va_mask", pa.bool_(), LABELS, None, "whether `valence` and `arousal` are labels"),
    Column("face_box", pa.list_(pa.float32(), 4), LABELS, MISSING_NUMBER, "x0 y0 x1 y1 in pixels of the source image; may exceed it"),
    Column("image_digest", pa.string(), LABELS, None, "sha256 of the image bytes, hexadecimal"),
    Column("image", PICTURE, IMAGES, None, "Image: the bytes as found; of a clip, those of its middle frame; or a reference to a frame of a video"),
    Column("frames", pa.list_(PICTURE), FRAMES, None, "list of Image: the frames of a clip in order, as found; none for a row of scope frame"),
)  # fmt: skip

COLUMNS_BY_NAME: Final = {column.name: column for column in COLUMNS}
LABEL_COLUMNS: Final = tuple(column for column in COLUMNS if column.group == LABELS)


def arrow_schema(group: str) -> pa.Schema:
    """The Arrow schema of a column group, without Hugging Face metadata."""
    return pa.schema([pa.field(column.name, column.type) for column in COLUMNS if column.group == group])


def features(group: str, databases: Sequence[str]) -> "Features":
    """The Hugging Face features of a column group.

    Args:
        group: `LABELS`, `IMAGES` or `FRAMES`.
        databases: names of the merged databases; they become the classes of the column ``database``, alphabetically.
    """
    from datasets import ClassLabel, Features, Image, List
    from datasets.features.features import generate_from_arrow_type

    described: dict[str, object] = {}
    for column in COLUMNS:
        if column.group != group:
            continue
        if column.name == "image":
            described[column.name] = Image()
        elif column.name == "frames":
            described[column.name] = List(Image())
        elif column.class_names:
            names = sorted(databases) if column.name == "database" else list(column.class_names)
            described[column.name] = ClassLabel(names=names)
        else:
            described[column.name] = generate_from_arrow_type(column.type)
    return Features(described)


# ---------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """Something that holds for every row of a built dataset.

    Attributes:
        name: in reports and errors.
        description: what must hold.
        holds: from a polars frame of labels to a boolean series, True for each row that obeys the rule.
    """

    name: str
    description: str
    holds: Callable[[pl.DataFrame], pl.Series]


_Slots = npt.NDArray[Any]


def _holds(expression: pl.Expr) -> Callable[[pl.DataFrame], pl.Series]:
    return lambda labels: labels.select(expression.fill_null(value=False).alias("holds"))["holds"]


def _mask_is_value(mask: str, is_fill: pl.Expr) -> pl.Expr:
    return pl.col(mask) == ~is_fill


def _is_unique(labels: pl.DataFrame) -> pl.Series:
    uids = labels["uid"]
    return uids.is_unique() if uids.n_unique() < len(uids) else uids.is_not_null()


def _source_is_relative(labels: pl.DataFrame) -> pl.Series:
    # Rows share few files, so each is looked at once.
    files = labels["source_file"].unique()
    usable = files.filter((files.str.len_bytes() > 0) & ~files.str.contains(r"^/|^[A-Za-z]:|(^|/)\.\.(/|$)|\\"))
    return (labels["source_file"].is_in(usable.implode()) & (labels["source_line"] >= 1)).fill_null(value=False)


def _every_slot(
    column: str, mask: str, is_value: Callable[[_Slots], _Slots], is_fill: Callable[[_Slots], _Slots]
) -> Callable[[pl.DataFrame], pl.Series]:
    """Rule over a fixed-size list column: each slot is a value in range with its mask set, or the fill with its mask unset."""

    def holds(labels: pl.DataFrame) -> pl.Series:
        value, masked = labels[column].explode(), labels[mask].explode()
        slots, is_null = value.to_numpy(), value.is_null() | masked.is_null()
        filled, labelled = is_fill(slots), masked.fill_null(value=False).to_numpy()
        # Usually all is right, and most slots are unlabelled: no row has to be looked at then.
        wrong = filled == labelled
        if labelled.any():
            wrong |= ~(filled | is_value(slots))
        if is_null.any():
            wrong |= is_null.to_numpy()
        if not wrong.any():
            return _all_hold(labels)
        return pl.Series(~wrong.reshape(len(labels), -1).any(axis=1))

    return holds


def _all_hold(labels: pl.DataFrame) -> pl.Series:
    return pl.repeat(value=True, n=len(labels), dtype=pl.Boolean, eager=True)


def _votes_are_shares(labels: pl.DataFrame) -> pl.Series:
    votes = labels["expression_votes"]
    if _is_all_nan(votes):
        return _all_hold(labels)
    width = len(EXPRESSIONS)
    slots = votes.explode()
    none = slots.is_nan().fill_null(value=False).reshape((len(labels), width)).arr.all()
    shares = (slots.is_between(0.0, 1.0)).fill_null(value=False).reshape((len(labels), width)).arr.all()
    total = votes.arr.sum().is_between(0.0, 1.0 + 1e-4).fill_null(value=False)
    return none | (shares & total)


def _is_all_nan(arrays: pl.Series) -> bool:
    return bool(arrays.explode().is_nan().fill_null(value=False).all())


def _box_has_area(labels: pl.DataFrame) -> pl.Series:
    if _is_all_nan(labels["face_box"]):
        return _all_hold(labels)
    sides = labels["face_box"].arr.to_struct(fields=["x0", "y0", "x1", "y1"]).struct.unnest()
    none = sides.select(pl.all_horizontal(pl.all().is_nan().fill_null(value=False)))
    area = sides.select(
        (pl.col("x1") > pl.col("x0")) & (pl.col("y1") > pl.col("y0")) & pl.all_horizontal(pl.all().is_finite())
    )
    return (none.to_series() | area.to_series()).fill_null(value=False)


def _scope_is_known(labels: pl.DataFrame) -> pl.Series:
    scope, has_no_box = labels["label_scope"], labels["face_box"].arr.first().is_nan()
    is_one_track = (labels["track"] != "") & (labels["frame"] == MISSING_INDEX) & has_no_box
    is_clip = (scope == LABEL_SCOPES.index(CLIP_SCOPE)) & is_one_track
    return ((scope == LABEL_SCOPES.index(FRAME_SCOPE)) | is_clip).fill_null(value=False)


_va = pl.all_horizontal(pl.col("valence", "arousal").is_between(-1.0, 1.0))
_no_va = pl.all_horizontal(pl.col("valence", "arousal").is_nan())

UNIQUE: Final = "uid_is_unique"
"""Name of the first rule, and of the only one that does not look at each row alone."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(UNIQUE, "no two rows share a uid", _is_unique),
    Rule(
        "source_is_relative",
        "`source_file` is a relative path inside the database root, `source_line` counts from 1",
        _source_is_relative,
    ),
    Rule(
        "action_units_are_labels_or_masked",
        "each slot of `au` is 0 or 1 with `au_mask` set, or -1 with it unset",
        _every_slot("au", "au_mask", lambda value: (value == 0) | (value == 1), lambda value: value == MISSING_CLASS),
    ),
    Rule(
        "action_unit_intensities_are_labels_or_masked",
        "each slot of `au_intensity` is in 0..5 with `au_intensity_mask` set, or NaN with it unset",
        _every_slot("au_intensity", "au_intensity_mask", lambda value: (value >= 0) & (value <= 5), np.isnan),
    ),
    Rule(
        "expression_is_a_class_or_masked",
        f"`expression` is 0..{len(EXPRESSIONS) - 1} with `expression_mask` set, or -1 with it unset",
        _holds(
            pl.col("expression").is_between(MISSING_CLASS, len(EXPRESSIONS) - 1)
            & _mask_is_value("expression_mask", pl.col("expression") == MISSING_CLASS)
        ),
    ),
    Rule(
        "compound_expression_is_a_class_or_masked",
        f"`compound_expression` is 0..{len(COMPOUND_EXPRESSIONS) - 1} with its mask set, or -1 with it unset",
        _holds(
            pl.col("compound_expression").is_between(MISSING_CLASS, len(COMPOUND_EXPRESSIONS) - 1)
            & _mask_is_value("compound_expression_mask", pl.col("compound_expression") == MISSING_CLASS)
        ),
    ),
    Rule(
        "votes_are_shares",
        "`expression_votes` are all NaN, or shares in [0, 1] that sum to 1 at most",
        _votes_are_shares,
    ),
    Rule(
        "valence_and_arousal_are_labels_or_masked",
        "`valence` and `arousal` are both in [-1, 1] with `va_mask` set, or both NaN with it unset",
        _holds((_va & pl.col("va_mask")) | (_no_va & ~pl.col("va_mask"))),
    ),
    Rule("face_box_has_area", "`face_box` is all NaN, or x0 < x1 and y0 < y1", _box_has_area),
    Rule(
        "clip_is_one_track",
        "`label_scope` is frame or clip; a clip has a track, no frame number and no face box: its frames are pictures of the face alone",
        _scope_is_known,
    ),
    Rule(
        "image_digest_is_sha256",
        "`image_digest` is 64 hexadecimal digits",
        _holds(pl.col("image_digest").str.contains(r"^[0-9a-f]{64}$")),
    ),
)

RULES_BEFORE_IMAGES: Final = tuple(rule for rule in RULES if rule.name != "image_digest_is_sha256")


def check_rules(labels: pl.DataFrame, rules: Sequence[Rule] = RULES) -> None:
    """Makes sure that every row of a labels frame obeys the rules.

    Args:
        labels: with the label columns, as read from Arrow by polars.
        rules: the rules to apply.

    Raises:
        SchemaError: for the first rule that a row breaks, with examples.
    """
    if labels.is_empty():
        return
    place = ("uid", "source_file", "source_line")
    for rule in rules:
        parts = [labels] if rule.name == UNIQUE else labels.iter_slices(ROWS_AT_ONCE)
        broken = pl.concat([labels.clear(), *_broken(parts, rule)])
        if len(broken):
            examples = (
                broken.head(3)
                .select(pl.format("{} ({}:{})", *(pl.col(c).cast(pl.String).fill_null("null") for c in place)))
                .to_series()
                .to_list()
            )
            raise SchemaError(rule.name, rule.description, examples, len(broken))


def _broken(parts: Iterable[pl.DataFrame], rule: Rule) -> Iterator[pl.DataFrame]:
    """The rows of each part that break a rule, if there are any."""
    for part in parts:
        holds = rule.holds(part)
        if not holds.all(ignore_nulls=False):
            yield part.filter(~holds)
