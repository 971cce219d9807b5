"""The parts of what a data recipe says of a column."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

Text = Annotated[str, StringConstraints(min_length=1)]
Value = str | int | float | bool


def list_or_mapping(value: object) -> str:
    """Which of the two a part of a recipe is; a text counts as a list."""
    return "mapping" if isinstance(value, dict) else "list"


def text_or_section(value: object) -> str:
    """Which of the two a part of a recipe is: the name of a column alone, or a section."""
    return "text" if isinstance(value, str) else "section"


class Section(BaseModel):
    """A part of the entry; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Names = Annotated[
    Annotated[tuple[Text, ...], Tag("list")] | Annotated[dict[str, Text], Tag("mapping")],
    Discriminator(list_or_mapping),
]
"""A list: what the codes 0, 1, 2, ... mean; a mapping: what a code or a text means."""


class ClassColumn(Section):
    """A column of classes, and what they are called."""

    column: Text | None = Field(None, description="not needed for class folders, whose names are the classes")
    names: Names | None = Field(
        None, description="a list: the class of code 0, 1, 2, ...; a mapping: from a code or a text to a class"
    )


class WordColumn(Section):
    """A column of words of the table's own, which a side group keeps."""

    column: Text = Field(description="its name")
    names: Names = Field(
        description="a list: the word of code 0, 1, 2, ...; a mapping: from a code or a text to the word that is kept"
    )

    def words(self) -> tuple[str, ...]:
        """The different words, in the order of the recipe."""
        return tuple(dict.fromkeys(self.names if isinstance(self.names, tuple) else self.names.values()))


class SideColumn(Section):
    """A column that says on which side of the face an action unit is."""

    column: Text = Field(description="its name")
    names: dict[str, Literal["left", "right", "both", "top", "bottom"]] = Field(
        default_factory=dict, description="the side that a code or a text means; the five words need not be named"
    )


class ScoreColumn(Section):
    """A column of numbers that no unified column holds."""

    column: Text = Field(description="its name")
    meaning: str = Field("", description="what the number says, for cards and pages")


class SplitColumn(Section):
    """A column of splits, and what they are called."""

    column: Text | None = Field(None, description="not needed where files or folders are the splits")
    names: dict[str, Literal["train", "validation", "test"]] = Field(
        default_factory=dict, description="the split that a value of the column, or the name of a file's split, means"
    )


class ImageColumn(Section):
    """A column that names pictures."""

    column: Text = Field(description="its name")
    folder: str = Field("", description="the folder that the names are relative to, relative to the root")
    suffix: str = Field("", description="what is missing at the end of the names, such as .jpg")


class TextColumn(Section):
    """A column, or a part of its texts."""

    column: Text = Field(description="its name")
    pattern: str | None = Field(None, description="a regular expression whose first group is the part that counts")


class UnitColumns(Section):
    """The columns of one action unit."""

    occurrence: Text | None = Field(None, description="the column of 0 (absent) and 1 (present)")
    intensity: Text | None = Field(None, description="the column of intensities from 0 to 5")
    threshold: float | None = Field(
        None, gt=0.0, le=5.0, description="the intensity from which the action unit counts as present"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.occurrence is None and self.intensity is None:
            raise ValueError("names no column; write `{occurrence: AU12_c}`, `{intensity: AU12_r}` or both")
        if self.threshold is not None and (self.intensity is None or self.occurrence is not None):
            raise ValueError("a threshold makes occurrence of intensity, where there is no column of occurrence")
        return self


class UnitLists(Section):
    """A column of lists, with one entry for each action unit."""

    column: Text = Field(description="its name")
    numbers: tuple[int, ...] = Field(description="FACS numbers, in the order of the entries")
    holds: Literal["occurrence", "intensity"] = Field("occurrence", description="what the entries are")
    threshold: float | None = Field(None, gt=0.0, le=5.0, description="of intensities, as for a column")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.threshold is not None and self.holds == "occurrence":
            raise ValueError("a threshold makes occurrence of intensity; write `holds: intensity`")
        return self


def _units_kind(value: object) -> str:
    return "list" if isinstance(value, UnitLists) or (isinstance(value, dict) and "column" in value) else "columns"


Unit = Annotated[Annotated[Text, Tag("text")] | Annotated[UnitColumns, Tag("section")], Discriminator(text_or_section)]
Units = Annotated[
    Annotated[dict[int, Unit], Tag("columns")] | Annotated[UnitLists, Tag("list")], Discriminator(_units_kind)
]
Named = Annotated[Annotated[Text, Tag("text")] | Annotated[TextColumn, Tag("section")], Discriminator(text_or_section)]
Classes = Annotated[
    Annotated[Text, Tag("text")] | Annotated[ClassColumn, Tag("section")], Discriminator(text_or_section)
]
