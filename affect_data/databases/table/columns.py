"""What a data recipe says of the columns of a database of the user's own."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from affect_data.databases.base import SPLITS
from affect_data.databases.table.beside import BesideLabels
from affect_data.databases.table.sections import (
    ClassColumn,
    Classes,
    ImageColumn,
    Named,
    SplitColumn,
    Text,
    TextColumn,
    UnitColumns,
    UnitLists,
    Units,
    Value,
    text_or_section,
)
from affect_data.errors import suggestion
from affect_data.vocabulary import (
    ACTION_UNITS,
    COMPOUND_EXPRESSIONS,
    EXPRESSIONS,
    NotInVocabularyError,
    expression_named,
    refuse_repeated,
)

CLASS: Final = "class"
"""The column that class folders have: what the folder of a picture is called after. Their column `image` is its path."""

SPLIT_ALIASES: Final[Mapping[str, str]] = {
    **{split: split for split in SPLITS},
    **dict.fromkeys(("training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "dev", "development"), "validation"),
    **dict.fromkeys(("testing", "tst", "eval"), "test"),
}
"""The split by each name that is in use for it, in lower case."""


def _one_or_many(values: Any) -> Any:  # noqa: ANN401 - what YAML can hold
    return values if isinstance(values, list) or values is None else [values]


class Columns(BesideLabels):
    """Which column holds what. Labels without a column are missing in every row."""

    image: (
        Annotated[Annotated[Text, Tag("text")] | Annotated[ImageColumn, Tag("section")], Discriminator(text_or_section)]
        | None
    ) = Field(None, description="paths of pictures, or the pictures themselves; by default the column `image`")
    subject: Named | None = Field(None, description="the person")
    track: Named | None = Field(None, description="the video")
    frame: Named | None = Field(None, description="the number of the frame in its video")
    face: Named | None = Field(None, description="the number of the face, where a picture has several rows")
    timestamp: Text | None = Field(None, description="seconds from the beginning of the video")
    split: (
        Annotated[Annotated[Text, Tag("text")] | Annotated[SplitColumn, Tag("section")], Discriminator(text_or_section)]
        | None
    ) = Field(None, description="train, validation or test")
    face_box: (
        Annotated[
            Annotated[Text, Tag("text")] | Annotated[tuple[Text, Text, Text, Text], Tag("section")],
            Discriminator(text_or_section),
        ]
        | None
    ) = Field(None, description="four columns, or one of lists of four numbers, in pixels of the picture")
    face_box_format: Literal["corners", "corner_and_size"] = Field(
        "corners", description="x0 y0 x1 y1, or x0 y0 width height"
    )
    expression: Classes | None = Field(
        None, description="the column of expressions, or that and the names of its classes"
    )
    compound_expression: Classes | None = Field(None, description="the same for compound expressions")
    valence: Text | None = Field(None, description="the column of valence")
    arousal: Text | None = Field(None, description="the column of arousal")
    valence_arousal_range: tuple[float, float] = Field(
        (-1.0, 1.0), description="what the lowest and the highest value of the columns are; they become -1 and 1"
    )
    action_units: Units | None = Field(
        None,
        description="by number, a column of occurrence or `{occurrence, intensity, threshold}`; or `{column, numbers}`",
    )
    votes: dict[str, Text] = Field(
        default_factory=dict, description="by expression, the column of how many annotators chose it"
    )
    votes_for_none: tuple[Text, ...] = Field((), description="columns of votes for no expression, such as unknown")
    missing: dict[str, Annotated[list[Value], BeforeValidator(_one_or_many)]] = Field(
        default_factory=dict,
        description="for a column, the values that say that there is no label; empty cells need not be named",
    )

    @field_validator("expression", "compound_expression", mode="after")
    @classmethod
    def _classes_are_named_once(cls, given: Any) -> Any:  # noqa: ANN401 - one of two kinds
        names = given.names if isinstance(given, ClassColumn) else None
        if isinstance(names, tuple):
            refuse_repeated(names)
        return given

    @field_validator("votes", mode="after")
    @classmethod
    def _votes_are_of_expressions(cls, votes: dict[str, str]) -> dict[str, str]:
        try:
            named = {expression_named(name): column for name, column in votes.items()}
        except NotInVocabularyError as error:
            raise ValueError(f"{error}; columns of other votes are `votes_for_none`") from None
        if len(named) < len(votes):
            raise ValueError("two keys are the same expression; remove one")
        return named

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes, (low, high) = [*_class_mistakes(self), *_unit_mistakes(self)], self.valence_arousal_range
        mistakes += self.beside_mistakes()
        if not low < high:
            mistakes.append(f"valence_arousal_range goes from {low:g} to {high:g}; the lowest value comes first")
        if (self.valence is None) != (self.arousal is None):
            mistakes.append("valence and arousal come together; name a column for each")
        if self.votes_for_none and not self.votes:
            mistakes.append("votes_for_none without votes; name a column for each expression under `votes`")
        named = [name for _, name in self.label_columns()]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            mistakes.append(f"{', '.join(twice)} named twice; a column is one label")
        classes = self.class_column("expression")
        named += [CLASS] if classes is None or classes.column is None else []
        others = [name for name in self.missing if name not in (*named, *self.other_columns())]
        mistakes += [f"missing: {name} is no column that is named here" for name in sorted(others)]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def units(self) -> dict[int, UnitColumns]:
        """The columns of each action unit by its number, rising; an entry of a list is called ``column[i]``."""
        given = self.action_units
        if isinstance(given, UnitLists):
            of_lists = {number: f"{given.column}[{place}]" for place, number in enumerate(given.numbers)}
            return {
                number: UnitColumns(**{given.holds: of_lists[number]}, threshold=given.threshold)
                for number in sorted(of_lists)
            }
        return {
            number: UnitColumns(occurrence=unit) if isinstance(unit, str) else unit
            for number, unit in sorted((given or {}).items())
        }

    def box_columns(self) -> tuple[str, ...]:
        """The four columns of face boxes; empty if there are none."""
        if isinstance(self.face_box, str):
            return tuple(f"{self.face_box}[{place}]" for place in range(4))
        return self.face_box or ()

    def class_column(self, label: str) -> ClassColumn | None:
        """The column of classes, whether the recipe gives its name alone or a section."""
        given: str | ClassColumn | None = getattr(self, label)
        return ClassColumn(column=given) if isinstance(given, str) else given

    def text_column(self, key: str) -> TextColumn | None:
        """The column of texts, whether the recipe gives its name alone or a section."""
        given: str | TextColumn | None = getattr(self, key)
        return TextColumn(column=given) if isinstance(given, str) else given

    def image_column(self) -> ImageColumn | None:
        """The column of pictures, whether the recipe gives its name alone or a section."""
        return ImageColumn(column=self.image) if isinstance(self.image, str) else self.image

    def split_column(self) -> SplitColumn:
        """The column of splits, whether the recipe gives its name alone or a section."""
        return SplitColumn(column=self.split) if isinstance(self.split, str) else self.split or SplitColumn()

    def tasks(self) -> tuple[str, ...]:
        """The tasks that have columns, among au, expression and va."""
        classes = self.expression or self.compound_expression or self.votes
        found = {"au": self.action_units, "expression": classes, "va": self.valence}
        return tuple(task for task, named in found.items() if named)

    def label_columns(self) -> Iterator[tuple[str, str]]:
        """The key in the recipe and the column of each label."""
        for key in ("expression", "compound_expression"):
            found = self.class_column(key)
            if found is not None and found.column:
                yield f"columns.{key}", found.column
        for key in ("valence", "arousal"):
            if column := getattr(self, key):
                yield f"columns.{key}", column
        for number, unit in self.units().items():
            for column in (unit.occurrence, unit.intensity):
                if column:
                    yield f"columns.action_units.{number}", column
        for column in (*self.votes.values(), *self.votes_for_none):
            yield "columns.votes", column

    def other_columns(self) -> dict[str, str]:
        """The columns that are no labels, with their keys in the recipe."""
        given = [("face_box", column) for column in self.box_columns()]
        places = {key: self.text_column(key) for key in ("subject", "track", "frame", "face")}
        given += [(key, place.column) for key, place in places.items() if place is not None]
        given += [("timestamp", self.timestamp)] if self.timestamp else []
        given += [("split", split)] if (split := self.split_column().column) else []
        image = self.image_column()
        given += [("image", image.column)] if image else []
        return {column: f"columns.{key}" for key, column in (*given, *self.beside_columns())}


def _class_mistakes(columns: Columns) -> Iterator[str]:
    for label, known in (("expression", EXPRESSIONS), ("compound_expression", COMPOUND_EXPRESSIONS)):
        found = columns.class_column(label)
        names = found.names if found is not None else None
        for name in names.values() if isinstance(names, dict) else names or ():
            if class_named(name, known) is None:
                yield f"{label}.names: {name!r} is no class; {suggestion(name, known)}; a value without a label is `missing`"


def _unit_mistakes(columns: Columns) -> Iterator[str]:
    given = columns.action_units
    numbers = given.numbers if isinstance(given, UnitLists) else tuple(given or ())
    unknown = [number for number in numbers if number not in ACTION_UNITS]
    if unknown:
        yield f"action_units: AU {', '.join(map(str, unknown))} not in the vocabulary; known: {', '.join(map(str, ACTION_UNITS))}"
    if len(set(numbers)) < len(numbers):
        yield f"action_units: numbers {list(numbers)} name one twice"


def class_named(name: str, known: tuple[str, ...]) -> str | None:
    """The class of the vocabulary that a name means, in any case and with any alias; None if there is none."""
    if known is EXPRESSIONS:
        try:
            return expression_named(name)
        except NotInVocabularyError:
            return None
    spelt = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    return spelt if spelt in known else None
