"""Why faces have no label of a task, as far as the dataset keeps it.

The build counts reasons by database and does not keep them by face: where a database has several, each of its unlabelled faces may have any of them.
What reviews have masked is kept by face.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from affect_data.build.existing import read_lock
from affect_data.corrections.versions import read_changes
from affect_data.dataset.folder import DatasetFolder

DATABASE: Final = "database"
"""The database labels nothing of the task."""
REVIEW: Final = "review"
"""A person has masked the label."""
FILES: Final = "files"
"""The files have no label of this face."""

_LABELS: Final = {"expression": "expression", "compound": "compound_expression", "au": "au", "va": "va"}
_LOCKED: Final = _LABELS | {"compound": "compound"}


@dataclass(frozen=True)
class Absence:
    """What may be the reason that faces of databases have no label.

    Attributes:
        causes: by task and code of the database, each cause with the number of rows that the build counted; None where it counted none. A cause is
            `DATABASE`, `FILES` or a reason in words. Tasks and databases without a missing label are left out.
        masked: by task and row, who has masked the label in a review.
    """

    causes: Mapping[str, Mapping[int, Mapping[str, int | None]]] = field(default_factory=dict)
    masked: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def conditions(self, unlabelled: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
        """For every ``task:cause``, the rows that may lack a label because of it.

        Args:
            unlabelled: for each task, whether a row has no label of it.
        """
        found: dict[str, pl.Expr] = {}
        for task, missing in unlabelled.items():
            reviewed = pl.int_range(pl.len()).is_in(list(self.masked.get(task, {})))
            other = missing & ~reviewed if self.masked.get(task) else missing
            by_cause: dict[str, list[int]] = {}
            for code, causes in self.causes.get(task, {}).items():
                for cause in causes:
                    by_cause.setdefault(cause, []).append(code)
            if self.masked.get(task):
                found[f"{task}:{REVIEW}"] = missing & reviewed
            for cause, codes in by_cause.items():
                found[f"{task}:{cause}"] = other & pl.col("database").is_in(codes)
        return found

    def of(self, task: str, row: int, database: int, name: str) -> str:
        """A sentence about a row without a label of a task.

        Args:
            task: one of `affect_data.viewing.filters.tasks`.
            row: its number.
            database: code of its database.
            name: of its database.
        """
        if row in self.masked.get(task, {}):
            return f"masked by {self.masked[task][row]} in a review"
        causes = self.causes.get(task, {}).get(database, {})
        words = [_in_words(cause, count, name, alone=len(causes) == 1) for cause, count in causes.items()]
        return words[0] if len(words) == 1 else f"not kept which: {'; '.join(words)}"


def absence(folder: DatasetFolder, frame: pl.DataFrame, labelled: Mapping[str, pl.Expr]) -> Absence:
    """What is known of a dataset's missing labels.

    Args:
        folder: the dataset.
        frame: its rows, with `uid`, `split` and `database`.
        labelled: for each task, whether a row has a label of it.
    """
    masked = _masked(folder, frame)
    counted = read_lock(folder.path).get("databases", {})
    found: dict[str, dict[int, dict[str, int | None]]] = {}
    for task, has in labelled.items():
        own = list(masked.get(task, {}))
        known = has | pl.int_range(pl.len()).is_in(own)
        missing = frame.select("database", has=has, known=known).group_by("database")
        for code, having, lacking in missing.agg(pl.col("has").any(), (~pl.col("known")).sum()).sort("database").rows():
            if not lacking:
                continue
            report = counted.get(folder.manifest.databases[code], {})
            reasons = {str(m["reason"]): int(m["rows"]) for m in report.get("masked", ()) if m["task"] == _LOCKED[task]}
            found.setdefault(task, {})[code] = _causes(reasons, lacking, having=having or bool(own), task=task)
    return Absence(found, masked)


def _causes(reasons: Mapping[str, int], lacking: int, *, having: bool, task: str) -> dict[str, int | None]:
    """The causes that unlabelled rows of a database may have."""
    if not reasons:
        return {FILES if having else DATABASE: None}
    # Of action units, rows that have some labels are counted, too; so there is no telling whether the counts are complete.
    complete = sum(reasons.values()) == lacking and task != "au"
    return {**reasons} if complete else {**reasons, FILES: None}


def _masked(folder: DatasetFolder, frame: pl.DataFrame) -> dict[str, dict[int, str]]:
    """By task and row, who has masked a label in a review, and when."""
    changes = read_changes(folder)
    if changes.is_empty():
        return {}
    codes = {name: code for code, name in enumerate(folder.splits)}
    placed = changes.with_columns(
        pl.col("split").replace_strict(codes, default=-1, return_dtype=frame.schema["split"])
    ).join(frame.select("uid", "split").with_row_index("row"), on=["uid", "split"], maintain_order="left")
    found: dict[str, dict[int, str]] = {}
    for row, who, when, new in placed.select("row", "who", "when", "new").iter_rows():
        labels = json.loads(new)
        for task, name in _LABELS.items():
            if name in labels and _is_none(labels[name]):
                found.setdefault(task, {})[row] = f"{who} on {when[:10]}"
    return found


def _is_none(value: Any) -> bool:  # noqa: ANN401 - a label as JSON has it
    return value is None or (isinstance(value, dict) and bool(value) and any(v is None for v in value.values()))


def _in_words(cause: str, count: int | None, database: str, *, alone: bool) -> str:
    if cause == DATABASE:
        return f"{database} labels none"
    if cause == FILES:
        return "its files have none here"
    return cause if alone else f"{cause} ({count:,} face{'' if count == 1 else 's'})"
