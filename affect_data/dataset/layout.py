"""How the columns of the schema are stored in one dataset: without slots for action units that no merged database codes, and shared texts only once.

The schema (`affect_data.dataset.schema`) says what a row means; a layout says which bytes hold it. `Layout.stored` turns columns of the schema into
stored ones, and `affect_data.dataset.view` turns them back.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from affect_data.dataset.hashing import combined_hash, content_hash
from affect_data.dataset.schema import COLUMNS_BY_NAME, FRAMES, IMAGES, LABELS, ROWS_AT_ONCE
from affect_data.dataset.side.groups import SideColumn, declared_columns
from affect_data.vocabulary import (
    ACTION_UNIT_SLOTS,
    ACTION_UNITS,
    COMPOUND_EXPRESSIONS,
    EXPRESSIONS,
    FRAME_SCOPE,
    LABEL_SCOPES,
    unit_name,
)

if TYPE_CHECKING:
    from datasets import Features

    from affect_data.databases.base import Database

VOTES: Final = "votes"
COMPOUND: Final = "compound"

ORIGIN_COLUMNS: Final = ("release", "subject", "track", "source_file")
"""The texts that all rows of an origin share."""

PEOPLE: Final = "who is where"
"""Among fingerprints of column groups, that of `PEOPLE_COLUMNS`; no group can have this name."""
PEOPLE_COLUMNS: Final = ("database", "subject", "track", "frame", "face")
"""The columns that say whose face a row shows, and in which video."""

DIGEST_BYTES: Final = 32
MISSING_STEP: Final = -1
"""No intensity, if intensities are whole steps."""

SIDE_COLUMNS: Final = {
    VOTES: ("expression_votes",),
    COMPOUND: ("compound_expression", "compound_expression_mask"),
}
"""The columns of the schema by the side group that holds them; a dataset without such labels has no such group."""


class Layout(BaseModel):
    """What a dataset stores; it follows from what its databases code.

    Attributes:
        databases: alphabetical.
        action_units: whose occurrence any database codes, ascending.
        intensities: whose intensity any database codes, ascending.
        whole_intensities: whether all intensities are whole steps.
        boxes: whether any row has a face box, and whether all boxes are in whole pixels.
        side: the side groups of labels.
        clips: whether any database labels whole clips.
        declared: the columns of the other side groups, which databases declare, group by group.
        videos: whether rows name frames of videos, which lie in the folder `videos`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    databases: tuple[str, ...]
    action_units: tuple[int, ...] = ()
    intensities: tuple[int, ...] = ()
    whole_intensities: bool = True
    boxes: Literal["none", "whole", "exact"] = "none"
    side: tuple[Literal["votes", "compound"], ...] = ()
    clips: bool = False
    declared: tuple[SideColumn, ...] = ()
    # Left out where it says nothing, so that earlier affectkits read all other datasets.
    videos: bool = Field(default=False, exclude_if=lambda videos: not videos)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        for units in (self.action_units, self.intensities):
            if list(units) != sorted(set(units) & set(ACTION_UNIT_SLOTS)):
                raise ValueError(f"action units are numbers of the vocabulary, rising; found {units}")
        if list(self.databases) != sorted(set(self.databases)):
            raise ValueError(f"databases are in alphabetical order; found {self.databases}")
        return self

    @classmethod
    def of(cls, databases: "Iterable[type[Database]]", rows: Iterable[pl.DataFrame]) -> "Layout":
        """The layout of a dataset: places for what its databases code, in the smallest types that hold the values of its rows.

        Args:
            databases: that are merged.
            rows: of each, with the columns of the schema.
        """
        merged = sorted(databases, key=lambda database: database.name)
        boxes: set[str] = set()
        steps: set[str] = set()
        for part in rows:
            boxes |= _exactness_of(part, "face_box")
            steps |= _exactness_of(part, "au_intensity")
        sides = {
            VOTES: any(database.has_expression_votes for database in merged),
            COMPOUND: any(database.compound_expressions for database in merged),
        }
        return cls(
            databases=tuple(database.name for database in merged),
            action_units=tuple(sorted({unit for database in merged for unit in database.action_units})),
            intensities=tuple(sorted({unit for database in merged for unit in database.action_unit_intensities})),
            whole_intensities="exact" not in steps,
            boxes="exact" if "exact" in boxes else "whole" if "whole" in boxes else "none",
            side=tuple(name for name, has in sides.items() if has),
            clips=any(database.has_clips for database in merged),
            declared=declared_columns(merged),
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The column groups of labels: the labels themselves, then the side groups."""
        return (LABELS, *self.side)

    @property
    def pictures(self) -> tuple[str, ...]:
        """The column groups of pictures: one picture for each row, and the frames of clips."""
        return (IMAGES, FRAMES) if self.clips else (IMAGES,)

    @property
    def side_groups(self) -> tuple[str, ...]:
        """The column groups that databases declare in addition to the labels; decisions never change them."""
        return tuple(dict.fromkeys(column.group for column in self.declared))

    def columns_of(self, group: str) -> tuple[SideColumn, ...]:
        """The columns of one of `side_groups`."""
        return tuple(column for column in self.declared if column.group == group)

    def features(self, group: str) -> "Features":
        """The Hugging Face features of a column group.

        Args:
            group: one of `pictures`, `LABELS`, or one of `side` or of `side_groups`.
        """
        from datasets import ClassLabel, Features, Image, List, Value

        if group == IMAGES:
            return Features({"image": Image()})
        if group == FRAMES:
            return Features({"frames": List(Image())})
        if group == VOTES:
            return Features({"expression_votes": {name: Value("float32") for name in EXPRESSIONS}})
        if group == COMPOUND:
            classes = ClassLabel(names=list(COMPOUND_EXPRESSIONS))
            return Features({"compound_expression": classes, "compound_expression_mask": Value("bool")})
        if columns := self.columns_of(group):
            return Features({name: kind for column in columns for name, kind in column.features().items()})
        described: dict[str, object] = {
            "uid": Value("string"),
            "database": ClassLabel(names=list(self.databases)),
            "origin": Value("int32"),
            "frame": Value("int32"),
            "face": Value("int16"),
            "source_line": Value("int32"),
        }
        if self.clips:
            described["label_scope"] = ClassLabel(names=list(LABEL_SCOPES))
        if self.action_units:
            described["au"] = {unit_name(unit): Value("int8") for unit in self.action_units}
            described["au_mask"] = {unit_name(unit): Value("bool") for unit in self.action_units}
        if self.intensities:
            step = Value("int8" if self.whole_intensities else "float32")
            described["au_intensity"] = {unit_name(unit): step for unit in self.intensities}
            described["au_intensity_mask"] = {unit_name(unit): Value("bool") for unit in self.intensities}
        described |= {
            "expression": ClassLabel(names=list(EXPRESSIONS)),
            "expression_mask": Value("bool"),
            "valence": Value("float32"),
            "arousal": Value("float32"),
            "va_mask": Value("bool"),
        }
        if self.boxes != "none":
            described["face_box"] = List(Value("int16" if self.boxes == "whole" else "float32"), length=4)
        described["image_digest"] = List(Value("uint8"), length=DIGEST_BYTES)
        return Features(described)

    def arrow_schema(self, group: str) -> pa.Schema:
        """The Arrow schema of `features`; remembered, because working it out takes longer than writing 16,000 rows of labels."""
        return _arrow_schema(self, group)

    def holds(self, name: str, unit: int, value: object) -> bool:
        """Whether there is a place for a label.

        Args:
            name: ``au``, ``au_intensity``, ``expression``, ``compound_expression`` or ``va``.
            unit: number of the action unit, if the label is about one.
            value: of the label.
        """
        if name == "au":
            return unit in self.action_units
        if name == "au_intensity":
            whole = isinstance(value, int | float) and float(value).is_integer()
            return unit in self.intensities and (whole or not self.whole_intensities)
        return name != "compound_expression" or COMPOUND in self.side

    def stored(self, rows: pl.DataFrame, group: str) -> pa.Table:
        """The rows of a column group as they are stored.

        Args:
            rows: the columns of the schema with `database` by name or by code, and `origin`; action units as arrays over the slots of the vocabulary.
                Declared columns are in the unified form of `affect_data.dataset.side.base`; a missing column has no value.
            group: `LABELS`, or one of `side` or of `side_groups`.

        Raises:
            ValueError: a row has a label, a step or a box that the layout has no place for.
        """
        if group == LABELS:
            self._check_absent(rows)
        schema = self.arrow_schema(group)
        if columns := self.columns_of(group):
            unified = {column: rows.get_column(column.name, default=column.absent(len(rows))) for column in columns}
            arrays = {
                name: array for column, values in unified.items() for name, array in column.stored(values).items()
            }
            return pa.table(arrays).select(schema.names).cast(schema)
        return pa.table([self._column(rows, field) for field in schema], schema=schema)

    def _check_absent(self, rows: pl.DataFrame) -> None:
        """Refuses rows with a label whose column is not stored at all, because it would be lost silently."""
        absent = {
            "au_mask": not self.action_units,
            "au_intensity_mask": not self.intensities,
            "compound_expression_mask": COMPOUND not in self.side,
            "expression_votes": VOTES not in self.side,
            "face_box": self.boxes == "none",
        }
        for name in (name for name, is_absent in absent.items() if is_absent):
            values = rows[name].to_numpy()
            if (values if values.dtype == np.bool_ else ~np.isnan(values)).any():
                raise ValueError(f"{name}: a row has what no merged database codes")
        if not self.clips and (rows["label_scope"] != LABEL_SCOPES.index(FRAME_SCOPE)).any():
            raise ValueError("label_scope: a row is a clip, which no merged database labels")

    def _column(self, rows: pl.DataFrame, field: pa.Field) -> pa.Array:
        name = field.name
        if name in ("au", "au_mask", "au_intensity", "au_intensity_mask"):
            return self._action_units(rows[name], field)
        if name == "expression_votes":
            return _struct(rows[name].to_numpy(), field.type)
        if name == "face_box":
            return self._boxes(rows[name].to_numpy(), field.type)
        if name == "image_digest":
            digests = rows[name].str.decode("hex").to_arrow().cast(pa.binary(DIGEST_BYTES))
            return pa.FixedSizeListArray.from_arrays(_bytes_of(digests), type=field.type)
        if name == "database" and rows.schema[name] == pl.String:
            codes = {database: code for code, database in enumerate(self.databases)}
            return rows[name].replace_strict(codes, return_dtype=pl.Int64).to_arrow()
        return rows[name].to_arrow().cast(field.type)

    def _action_units(self, column: pl.Series, field: pa.Field) -> pa.Array:
        units = self.intensities if field.name.startswith("au_intensity") else self.action_units
        slots = [ACTION_UNIT_SLOTS[unit] for unit in units]
        values = column.to_numpy()
        if field.name.endswith("_mask") and np.delete(values, slots, axis=1).any():
            raise ValueError(f"{field.name}: a row has a label of an action unit that no merged database codes")
        values = values[:, slots]
        if field.name == "au_intensity" and self.whole_intensities:
            values = _whole(values, "an intensity is no whole step", MISSING_STEP, np.int8)
        return _struct(values, field.type)

    def _boxes(self, boxes: npt.NDArray[np.float32], kind: pa.DataType) -> pa.Array:
        if self.boxes == "whole":
            # A box without area means no box.
            whole = _whole(boxes, "a face box is not in whole pixels", 0, np.int16)
            return pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), type=kind)
        return pa.FixedSizeListArray.from_arrays(pa.array(boxes.reshape(-1)), type=kind)


@lru_cache(maxsize=32)
def _arrow_schema(layout: Layout, group: str) -> pa.Schema:
    return layout.features(group).arrow_schema


def shown_hash(rows: pl.DataFrame) -> str:
    """Hash of what a model sees of the rows: their pictures and face boxes."""
    return content_hash(rows.select("image_digest", "face_box").to_arrow())


def frames_hash(digests: Iterable[Sequence[str]]) -> str:
    """Hash of the frames of clips.

    Args:
        digests: of the frames of each row, in order; empty for a row that is not a clip.
    """
    return combined_hash((" ".join(frames) for frames in digests), seed=FRAMES)


def units_named_in(masks: pl.Series) -> set[int]:
    """The action units of which any row has a label.

    Args:
        masks: arrays of bool over the slots of the vocabulary.
    """
    labelled = np.flatnonzero(masks.to_numpy().any(axis=0)) if len(masks) else ()
    return {ACTION_UNITS[slot] for slot in labelled}


def origins_of(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of one database with their `origin`, and the table of `ORIGIN_COLUMNS` of which `origin` is the row; origins in order of appearance.

    Args:
        rows: with `ORIGIN_COLUMNS`, in the order in which a dataset stores them.
    """
    # Rows of one origin follow each other: only the first of each run is looked up.
    begins = rows.select(
        pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in ORIGIN_COLUMNS).alias("begins")
    )["begins"]
    firsts = rows.select(ORIGIN_COLUMNS).filter(begins)
    origins = firsts.unique(maintain_order=True)
    numbered = origins.with_row_index("origin").cast({"origin": pl.Int32})
    runs = firsts.join(numbered, on=ORIGIN_COLUMNS, how="left", maintain_order="left")["origin"]
    return rows.with_columns(runs.gather(begins.cum_sum() - 1)), origins


def origin_features() -> "Features":
    """The Hugging Face features of a table of origins."""
    from datasets import Features, Value

    return Features({name: Value("string") for name in ORIGIN_COLUMNS})


def stored_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The stored columns of labels from which columns of the schema are read, without those of side groups.

    ``database`` is always among them: if a layout stores none of the others, it still gives the number of rows.
    """
    side = {name for names in SIDE_COLUMNS.values() for name in names}
    found: dict[str, None] = {"database": None}
    for name in columns:
        if name in ORIGIN_COLUMNS:
            found["origin"] = None
        elif name not in side:
            found[name] = None
    return tuple(found)


def group_of(column: str) -> str:
    """The column group that holds a column of the schema."""
    return next((group for group, names in SIDE_COLUMNS.items() if column in names), COLUMNS_BY_NAME[column].group)


def _exactness(column: pl.Series) -> Literal["none", "whole", "exact"]:
    """What a column of arrays holds: ``none``, only NaN; ``whole``, only whole numbers that fit int16; ``exact``, others."""
    values = column.to_numpy()
    known = values[~np.isnan(values)]
    if not known.size:
        return "none"
    limits = np.iinfo(np.int16)
    return (
        "whole"
        if (known == np.round(known)).all() and known.min() >= limits.min and known.max() <= limits.max
        else "exact"
    )


def _exactness_of(rows: pl.DataFrame, column: str) -> set[Literal["none", "whole", "exact"]]:
    """What the parts of a column hold, which is looked at in parts so that one fill for all rows stays one."""
    return {_exactness(part[column]) for part in rows.select(column).iter_slices(ROWS_AT_ONCE)}


def _struct(values: npt.NDArray[np.generic], kind: pa.StructType) -> pa.StructArray:
    """A struct with one child for each column of the values."""
    children = [
        pa.array(np.ascontiguousarray(column)).cast(field.type) for column, field in zip(values.T, kind, strict=True)
    ]
    return pa.StructArray.from_arrays(children, fields=list(kind))


def _bytes_of(array: pa.FixedSizeBinaryArray) -> pa.Array:
    width = array.type.byte_width
    values = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    return pa.array(values[array.offset * width : (array.offset + len(array)) * width])


def _whole(
    values: npt.NDArray[np.floating], because: str, missing: int, dtype: type[np.signedinteger]
) -> npt.NDArray[np.signedinteger]:
    none = np.isnan(values)
    whole = np.where(none, 0, values)
    limits = np.iinfo(dtype)
    if (whole != np.round(whole)).any() or whole.min(initial=0) < limits.min or whole.max(initial=0) > limits.max:
        raise ValueError(because)
    return np.where(none, missing, whole).astype(dtype)
