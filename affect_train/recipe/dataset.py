"""The section ``dataset`` of a training recipe: a dataset that `affect-data build` did not write, and what its columns mean."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from affect_data.vocabulary import ACTION_UNITS, refuse_repeated
from affect_train.recipe.section import Count, Section

Text = Annotated[str, StringConstraints(min_length=1)]
Value = str | int | float | bool


def _one_or_many(values: Any) -> Any:  # noqa: ANN401 - what YAML can hold
    return values if isinstance(values, list) or values is None else [values]


def _list_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict) else "list"


class ExpressionColumnOptions(Section):
    """A column of classes, and what they are called."""

    column: Text = Field(description="its name")
    names: (
        Annotated[
            Annotated[tuple[Text, ...], Tag("list")] | Annotated[dict[str, Text], Tag("mapping")],
            Discriminator(_list_or_mapping),
        ]
        | None
    ) = Field(
        None,
        description="a list: the expression of code 0, 1, 2, ...; a mapping: from a code, or from a name of the dataset, to an expression",
    )

    @field_validator("names")
    @classmethod
    def _are_different(cls, names: Any) -> Any:  # noqa: ANN401 - one of two kinds
        if isinstance(names, tuple):
            refuse_repeated(names)
        return names


class ActionUnitListOptions(Section):
    """A column of lists, with one entry for each action unit."""

    column: Text = Field(description="its name")
    numbers: tuple[int, ...] = Field(description="FACS numbers, in the order of the entries")

    @field_validator("numbers")
    @classmethod
    def _are_known(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        check_action_units(numbers)
        return numbers


def _text_or_section(value: object) -> str:
    return "text" if isinstance(value, str) else "section"


def _units_kind(value: object) -> str:
    is_list = isinstance(value, ActionUnitListOptions) or (isinstance(value, dict) and "column" in value)
    return "list" if is_list else "columns"


ActionUnits = Annotated[
    Annotated[dict[int, Text], Tag("columns")] | Annotated[ActionUnitListOptions, Tag("list")],
    Discriminator(_units_kind),
]


def check_action_units(numbers: "tuple[int, ...]") -> None:
    """Refuses action units that are not in the vocabulary, or named twice.

    Raises:
        ValueError: names them.
    """
    unknown = [number for number in numbers if number not in ACTION_UNITS]
    if unknown:
        raise ValueError(
            f"AU {', '.join(map(str, unknown))} not in the vocabulary; known: {', '.join(map(str, ACTION_UNITS))}"
        )
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"found {list(numbers)}; name one action unit or more, each once")


class ColumnOptions(Section):
    """Which column of a dataset holds what. Labels without a column are missing in every row."""

    image: Text = Field("image", description="pictures, as an Image column, file bytes, or file paths")
    uid: Text | None = Field(None, description="a unique name a row; by default its place in the split")
    subject: Text | None = Field(None, description="the person")
    track: Text | None = Field(None, description="the video")
    expression: (
        Annotated[
            Annotated[Text, Tag("text")] | Annotated[ExpressionColumnOptions, Tag("section")],
            Discriminator(_text_or_section),
        ]
        | None
    ) = Field(None, description="the column of expressions, or that and the names of its classes")
    valence: Text | None = Field(None, description="the column of valence")
    arousal: Text | None = Field(None, description="the column of arousal")
    valence_arousal_range: tuple[float, float] = Field(
        (-1.0, 1.0), description="what the lowest and the highest value of the columns are; they become -1 and 1"
    )
    action_units: ActionUnits | None = Field(
        None, description="a column for each action unit, `{1: AU01, 2: AU02}`, or one of lists, `{column, numbers}`"
    )
    action_unit_threshold: Annotated[float, Field(gt=0.0, le=5.0)] | None = Field(
        None, description="the columns hold intensities from 0 to 5, and an action unit is present from this one"
    )
    face_box: Text | None = Field(None, description="lists of four numbers, in pixels of the picture")
    face_box_format: Literal["corners", "corner_and_size"] = Field(
        "corners", description="x0 y0 x1 y1, or x0 y0 width height"
    )
    missing: dict[str, Annotated[list[Value], BeforeValidator(_one_or_many)]] = Field(
        default_factory=dict,
        description="for a column, the values that say that there is no label; nulls need not be named",
    )

    @field_validator("action_units")
    @classmethod
    def _units_are_known(cls, units: Any) -> Any:  # noqa: ANN401 - one of two kinds
        if isinstance(units, dict):
            check_action_units(tuple(units))
        return units

    @model_validator(mode="after")
    def _fits_together(self) -> "ColumnOptions":
        mistakes, (low, high) = [], self.valence_arousal_range
        if not low < high:
            mistakes.append(f"valence_arousal_range goes from {low:g} to {high:g}; the lowest value comes first")
        if (self.valence is None) != (self.arousal is None):
            mistakes.append("valence and arousal come together; name a column for each")
        if self.action_unit_threshold is not None and self.action_units is None:
            mistakes.append("action_unit_threshold without action_units; remove it")
        named = self._named()
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            mistakes.append(f"{', '.join(twice)} named twice; a column is one label")
        mistakes += [
            f"missing: {name} is no column of labels that is named here"
            for name in sorted(set(self.missing) - set(named))
        ]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def expression_column(self) -> ExpressionColumnOptions | None:
        """The column of expressions, whether the recipe gives its name alone or a section."""
        return ExpressionColumnOptions(column=self.expression) if isinstance(self.expression, str) else self.expression

    def _named(self) -> list[str]:
        expression, units = self.expression_column(), self.action_units
        named = [expression.column if expression else None, self.valence, self.arousal, self.face_box]
        named += list(units.values()) if isinstance(units, dict) else [units.column if units else None]
        return [name for name in named if name]

    def tasks(self) -> tuple[str, ...]:
        """The tasks that have columns, among au, expression and va."""
        found = {"au": self.action_units, "expression": self.expression, "va": self.valence}
        return tuple(task for task, named in found.items() if named)


class DatasetOptions(Section):
    """A dataset on the Hub or in a folder that is no dataset folder of affectkit."""

    path: Text = Field(description="a folder of parquet, arrow or picture files, or a dataset of the Hub, `owner/name`")
    configuration: Text | None = Field(
        None, description="which configuration of the dataset; the default one by default"
    )
    revision: Text | None = Field(None, description="a branch, tag or commit of the Hub")
    columns: ColumnOptions | None = Field(
        None, description="what its columns mean; not needed where they are those of affectkit (docs/schema.md)"
    )
    streaming: bool = Field(default=False, description="read while training, and keep no copy")
    shuffle_buffer: Count = Field(1000, description="rows among which a streamed row is drawn")
    share_by: Literal["rows", "files"] = Field(
        "rows",
        description="rows: every process reads all and takes its part, so that batches do not depend on their number; files: each reads its own",
    )
    follow_links: bool = Field(
        default=False, description="read files to which symbolic links lead out of the folder of the dataset"
    )

    def __str__(self) -> str:
        parts = [self.path, *([self.configuration] if self.configuration else [])]
        return ":".join(parts) + (f"@{self.revision}" if self.revision else "")


def _folder_or_other(value: object) -> str:
    return "other" if isinstance(value, dict | DatasetOptions) else "folder"


DatasetEntry = Annotated[
    Annotated[Text, Tag("folder")] | Annotated[DatasetOptions, Tag("other")], Discriminator(_folder_or_other)
]
"""What a recipe says under ``dataset``: a dataset folder, or the section of another dataset."""
