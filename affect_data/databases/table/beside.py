"""What a data recipe says of columns that hold no label: people, sides, raters, scores, own words. Side groups keep them."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Discriminator, Field, Tag

from affect_data.databases.base import WORDS_OF_PEOPLE
from affect_data.databases.table.sections import (
    ClassColumn,
    Classes,
    ScoreColumn,
    Section,
    SideColumn,
    Text,
    WordColumn,
    text_or_section,
)
from affect_data.vocabulary import ACTION_UNITS

SCORE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

Sides = Annotated[Annotated[Text, Tag("text")] | Annotated[SideColumn, Tag("section")], Discriminator(text_or_section)]
Score = Annotated[Annotated[Text, Tag("text")] | Annotated[ScoreColumn, Tag("section")], Discriminator(text_or_section)]


class RaterColumns(Section):
    """The columns in which one annotator's own labels stand."""

    expression: Classes | None = Field(
        None, description="as for `columns.expression`, whose names hold where it gives none"
    )
    valence: Text | None = Field(None, description="in the range of the table's valence and arousal")
    arousal: Text | None = Field(None, description="in the range of the table's valence and arousal")
    action_units: dict[int, Text] = Field(default_factory=dict, description="by number, a column of 0 and 1")

    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        expression = self.expression.column if isinstance(self.expression, ClassColumn) else self.expression
        return tuple(filter(None, (expression, self.valence, self.arousal, *self.action_units.values())))


class BesideLabels(Section):
    """Which column holds what besides the labels."""

    age: Text | None = Field(None, description="the column of ages in years")
    age_band: WordColumn | None = Field(None, description="`{column, names}`: bands of ages, in words of your own")
    sex: WordColumn | None = Field(None, description="`{column, names}`, in words of your own")
    ethnicity: WordColumn | None = Field(None, description="`{column, names}`, in words of your own")
    native_expression: WordColumn | None = Field(
        None, description="`{column, names}`: classes of your own that `expression` merges or loses"
    )
    action_unit_sides: dict[int, Sides] = Field(
        default_factory=dict, description="by number, the column that says left, right, both, top or bottom"
    )
    scores: dict[str, Score] = Field(
        default_factory=dict, description="by a name of your choice, a column of numbers or `{column, meaning}`"
    )
    raters: dict[Text, RaterColumns] = Field(
        default_factory=dict, description="by the id of an annotator, the columns of that annotator's own labels"
    )

    def words(self) -> dict[str, WordColumn]:
        """The columns of words by the side column that they fill."""
        named = {name: getattr(self, name) for name in (*WORDS_OF_PEOPLE, "native_expression")}
        return {name: column for name, column in named.items() if column is not None}

    def people(self) -> dict[str, tuple[str, ...]]:
        """What is known of people: the words of each column, none for the age."""
        words = {name: column.words() for name, column in self.words().items() if name in WORDS_OF_PEOPLE}
        return ({"age": ()} if self.age else {}) | words

    def side_columns(self) -> dict[int, SideColumn]:
        """The columns of sides by action unit, rising."""
        return {
            number: SideColumn(column=given) if isinstance(given, str) else given
            for number, given in sorted(self.action_unit_sides.items())
        }

    def score_columns(self) -> dict[str, ScoreColumn]:
        """The columns of scores by their names in the dataset, alphabetical."""
        return {
            f"score_{name}": ScoreColumn(column=given) if isinstance(given, str) else given
            for name, given in sorted(self.scores.items())
        }

    def rater_units(self) -> tuple[int, ...]:
        """The action units that any annotator labels."""
        return tuple(sorted({number for rater in self.raters.values() for number in rater.action_units}))

    def beside_columns(self) -> Iterator[tuple[str, str]]:
        """The key in the recipe and the column of all of these."""
        if self.age:
            yield "age", self.age
        for key, words in self.words().items():
            yield key, words.column
        for number, side in self.side_columns().items():
            yield f"action_unit_sides.{number}", side.column
        for name, score in self.score_columns().items():
            yield f"scores.{name.removeprefix('score_')}", score.column
        for name, rater in self.raters.items():
            for column in rater.columns():
                yield f"raters.{name}", column

    def beside_mistakes(self) -> Iterator[str]:
        """What is wrong with these parts of a recipe."""
        for key, numbers in (("action_unit_sides", self.action_unit_sides), ("raters", self.rater_units())):
            if unknown := [number for number in numbers if number not in ACTION_UNITS]:
                yield f"{key}: AU {', '.join(map(str, unknown))} not in the vocabulary"
        for name in self.scores:
            if not SCORE_NAME.fullmatch(name):
                yield f"scores: {name!r} is no name; use small letters, digits and _, a letter first"
        for name, rater in self.raters.items():
            if not rater.columns():
                yield f"raters.{name} names no column"
            if (rater.valence is None) != (rater.arousal is None):
                yield f"raters.{name}: valence and arousal come together; name a column for each"
