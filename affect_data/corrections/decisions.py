"""Decisions about labels: a plain file with a JSON object on each line, which only ever grows."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from affect_data.bounds import parse_json, read_lines_file
from affect_data.errors import DataError, UsageError
from affect_data.files import locked_file
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

MISTAKES_SHOWN: Final = 20

UnitInterval = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Intensity = Annotated[float, Field(ge=0.0, le=5.0, allow_inf_nan=False)]
Field_ = tuple[str, int]
"""A label of a row: its column, and the number of the action unit (0 for other labels)."""

_OF_ROWS: Final = ("expression", "compound_expression", "va")


class Labels(BaseModel):
    """Some labels of a face. Fields that are not given are left open; None means "no label".

    Attributes:
        expression: class name.
        compound_expression: name of a compound expression.
        va: valence and arousal.
        au: occurrence by action unit.
        au_intensity: intensity by action unit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    expression: str | None = None
    compound_expression: str | None = None
    va: tuple[UnitInterval, UnitInterval] | None = None
    au: dict[int, Literal[0, 1] | None] = {}
    au_intensity: dict[int, Intensity | None] = {}

    @field_validator("expression")
    @classmethod
    def _is_expression(cls, name: str | None) -> str | None:
        if name is not None and name not in EXPRESSIONS:
            raise ValueError(f"no expression; known: {', '.join(EXPRESSIONS)}")
        return name

    @field_validator("compound_expression")
    @classmethod
    def _is_compound_expression(cls, name: str | None) -> str | None:
        if name is not None and name not in COMPOUND_EXPRESSIONS:
            raise ValueError(f"no compound expression; known: {', '.join(COMPOUND_EXPRESSIONS)}")
        return name

    @field_validator("au", "au_intensity")
    @classmethod
    def _are_action_units(cls, units: dict[int, Any]) -> dict[int, Any]:
        unknown = [number for number in units if number not in ACTION_UNITS]
        if unknown:
            raise ValueError(f"AU{unknown[0]} is no action unit; known: {', '.join(map(str, ACTION_UNITS))}")
        return units

    def fields(self) -> dict[Field_, Any]:
        """The given labels, one entry each."""
        given: dict[Field_, Any] = {
            (name, 0): getattr(self, name) for name in _OF_ROWS if name in self.model_fields_set
        }
        for name in ("au", "au_intensity"):
            given |= {(name, number): value for number, value in getattr(self, name).items()}
        return given

    @classmethod
    def of_fields(cls, fields: dict[Field_, Any]) -> Self:
        """The labels that `fields` listed."""
        given: dict[str, Any] = {}
        for (name, number), value in fields.items():
            if name in _OF_ROWS:
                given[name] = value
            else:
                given.setdefault(name, {})[number] = value
        return cls.model_validate(given)


class Decision(BaseModel):
    """A person's decision about one face.

    Attributes:
        id: unique.
        uid: of the row, for people; the row is found by database, picture and face.
        split: of the row.
        image_digest: sha256 of the image bytes.
        face: number within the picture.
        database: name of the database.
        dataset: fingerprint of the dataset that the reviewer saw.
        action: ``keep``: the labels are right; ``correct`` and ``mask``: `old` becomes `new`; ``skip``: undecided; ``undo``: takes back `undoes`.
        old: the labels before, the same fields as in `new`.
        new: the labels after.
        who: the reviewer.
        when: ISO time.
        why: the findings, and the reviewer's note.
        undoes: id of an earlier decision.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64)
    uid: str
    split: str
    image_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    face: int = Field(ge=-1, strict=True)
    database: str
    dataset: str
    action: Literal["keep", "correct", "mask", "skip", "undo"]
    old: Labels = Labels()
    new: Labels = Labels()
    who: str = Field(min_length=1)
    when: str
    why: str = ""
    undoes: str = ""

    @field_validator("when")
    @classmethod
    def _is_time(cls, when: str) -> str:
        datetime.fromisoformat(when)
        return when

    @model_validator(mode="after")
    def _fits_its_action(self) -> Self:
        old, new = self.old.fields(), self.new.fields()
        if old.keys() != new.keys():
            raise ValueError("`old` and `new` name different labels")
        if self.changes_labels != bool(new):
            raise ValueError(f"the action '{self.action}' {'needs' if not new else 'has no'} `old` and `new`")
        if self.action == "mask" and any(value is not None for value in new.values()):
            raise ValueError("the action 'mask' gives a label; use 'correct'")
        if old and old == new:
            raise ValueError("`old` and `new` are the same")
        if (self.action == "undo") != bool(self.undoes):
            raise ValueError("`undoes` belongs to the action 'undo', and to no other")
        return self

    @property
    def changes_labels(self) -> bool:
        """Whether the decision is a correction or a mask."""
        return self.action in ("correct", "mask")

    def to_line(self) -> str:
        """The decision as a line of the file."""
        return json.dumps(self.model_dump(mode="json", exclude_unset=True), ensure_ascii=False) + "\n"


class DecisionsError(DataError):
    """A file of decisions with lines that are no decisions; the message lists them."""

    def __init__(self, path: Path | str, mistakes: Sequence[tuple[int, str]]) -> None:
        self.mistakes = tuple(mistakes)
        shown = "".join(f"\n  {path}:{line}: {because}" for line, because in mistakes[:MISTAKES_SHOWN])
        more = f"\n  ... and {len(mistakes) - MISTAKES_SHOWN:,} more" if len(mistakes) > MISTAKES_SHOWN else ""
        super().__init__(
            f"'{path}' has {len(mistakes):,} line(s) that are no decisions, nothing was applied:{shown}{more}\n"
            "Mend or remove these lines; docs/review.md describes them."
        )


def parse_decisions(text: str, path: Path | str, known: Iterable[str] = ()) -> list[Decision]:
    """The decisions in lines of text, in order.

    Args:
        text: lines of a file.
        path: names the file in errors.
        known: ids of earlier decisions in the same file.

    Raises:
        DecisionsError: a line is no decision, repeats an id, or undoes an unknown decision.
    """
    decisions: list[Decision] = []
    mistakes: list[tuple[int, str]] = []
    ids = set(known)
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            decision = Decision.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            mistakes.append((number, f"{where}: {first['msg']}" if where else first["msg"]))
            continue
        if decision.id in ids:
            mistakes.append((number, f"the id '{decision.id}' stands twice"))
        elif decision.undoes and decision.undoes not in ids:
            mistakes.append((number, f"undoes '{decision.undoes}', which stands in no line before"))
        else:
            decisions.append(decision)
        ids.add(decision.id)
    if mistakes:
        raise DecisionsError(path, mistakes)
    return decisions


def read_decisions(path: Path) -> list[Decision]:
    """All decisions of a file, in order.

    Raises:
        UsageError: there is no such file.
        DecisionsError: a line is no decision, repeats an id, or undoes an unknown decision.
    """
    try:
        return parse_decisions(read_lines_file(path, f"'{path}'").decode("utf-8"), path)
    except OSError as error:
        raise UsageError(
            f"decisions '{path}' cannot be read: {error.strerror}; name a file that `affect-data review` wrote"
        ) from None
    except UnicodeDecodeError:
        raise DecisionsError(path, [(1, "the file is no UTF-8 text")]) from None


def in_force(decisions: Sequence[Decision]) -> list[Decision]:
    """The decisions that were not taken back, in order, without the decisions to undo."""
    # An undo that is itself undone leaves its decision in force.
    taken_back: set[str] = set()
    for decision in reversed(decisions):
        if decision.undoes and decision.id not in taken_back:
            taken_back.add(decision.undoes)
    return [decision for decision in decisions if decision.action != "undo" and decision.id not in taken_back]


def count_actions(decisions: Sequence[Decision]) -> dict[str, int]:
    """How many decisions in force there are, by action."""
    return dict(sorted(Counter(decision.action for decision in in_force(decisions)).items()))


class DecisionFile:
    """A file of decisions that several processes may add to.

    Args:
        path: the file; created with the first decision.

    Raises:
        DecisionsError: the file has lines that are no decisions.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.decisions: list[Decision] = []
        self._read_to = 0
        self._ids: set[str] = set()
        if path.exists():
            self._mend_end()
            self.refresh()

    def refresh(self) -> list[Decision]:
        """The decisions that other processes have added since, which are read now."""
        if not self.path.exists() or self.path.stat().st_size <= self._read_to:
            return []
        with self.path.open("rb") as source:
            source.seek(self._read_to)
            data = source.read()
        whole = data[: data.rfind(b"\n") + 1]
        added = parse_decisions(whole.decode("utf-8"), self.path, self._ids)
        self._read_to += len(whole)
        self._ids |= {decision.id for decision in added}
        self.decisions += added
        return added

    def append(self, decisions: Sequence[Decision]) -> None:
        """Adds decisions to the file; on return they are on the disk."""
        data = "".join(decision.to_line() for decision in decisions).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked_file(self.path, "ab") as sink:
            sink.write(data)

    def _mend_end(self) -> None:
        """Removes a last line that a crash has cut short (nobody was told that it was saved); completes a whole one with its line end."""
        with locked_file(self.path, "r+b") as file:
            data = file.read()
            start = data.rfind(b"\n") + 1
            if start == len(data):
                return
            try:
                parse_json(data[start:], f"'{self.path}'")
            except ValueError:
                file.truncate(start)
            else:
                file.write(b"\n")
