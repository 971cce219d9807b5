"""Metrics of groups of people, where databases say of whom: by sex, ethnicity and age, in the databases' own words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.side.columns import ClassColumn
from affect_train.evaluation.intervals import Clusters
from affect_train.inputs.labels import column_array

Rows = NDArray[np.int64]
Metrics = Callable[[Rows], Mapping[str, Any]]
"""The metrics of some rows, as from `metrics.evaluate_predictions`; ``intervals`` may be among them."""

PEOPLE: Final = "people"
"""The side group in which databases say who is shown."""

MINIMUM_ROWS: Final = 50
"""How many rows with a label of a task a group needs to be scored on it. With 50, the standard error of an accuracy is up to 0.07."""

MINIMUM_PEOPLE: Final = 10
"""How many people these rows must show, so that no score is about a few persons: a thousand frames can be of one."""

HEADLINE: Final[Mapping[str, tuple[str, ...]]] = {
    "au": ("mean_f1", "accuracy"),
    "expression": ("macro_f1", "accuracy"),
    "va": ("valence_ccc", "arousal_ccc", "mean_ccc"),
}
"""The metrics of a group, by task."""


@dataclass(frozen=True)
class Attribute:
    """What databases say of the people on the rows of a split.

    Attributes:
        name: such as ``sex``.
        codes: int64 [rows], positions in `words`, -1 where nothing is said.
        words: the databases' own; ages in years are in tens, such as ``20 to 29``.
    """

    name: str
    codes: Rows
    words: Sequence[str]


def attributes_of(folder: DatasetFolder | None, split: str) -> tuple[Attribute, ...]:
    """What the databases of a dataset say of people; empty if they say nothing, or if there is no dataset folder."""
    columns = () if folder is None else folder.manifest.layout.columns_of(PEOPLE)
    if folder is None or not columns:
        return ()
    stored = folder.load(split, [PEOPLE])
    found = []
    for column in columns:
        values = column_array(stored, column.name)
        if isinstance(column, ClassColumn):
            found.append(Attribute(column.name, values, column.classes))
        else:
            found.append(ages_in_tens(column.name, values))
    return tuple(found)


def ages_in_tens(name: str, years: NDArray[np.floating[Any]]) -> Attribute:
    """Ages in years as groups of ten years.

    Args:
        name: of the attribute.
        years: [rows], NaN where no age is known.
    """
    tens = np.where(np.isnan(years), -1, years // 10).astype(np.int64)
    return Attribute(name, tens, [f"{10 * ten} to {10 * ten + 9}" for ten in range(tens.max(initial=-1) + 1)])


@dataclass(frozen=True)
class SplitRows:
    """The rows of a split that groups are made of.

    Attributes:
        databases: int64 [rows], positions in `names`.
        names: of the databases.
        labelled: bool [rows] by task of the model, whether a row has a label of it.
        clusters: which rows show one person; videos, or else rows, where people are not known.
        metrics: of some of the rows.
    """

    databases: Rows
    names: Sequence[str]
    labelled: Mapping[str, NDArray[np.bool_]]
    clusters: Clusters
    metrics: Metrics


def subgroups(attributes: Sequence[Attribute], judged: SplitRows, counted: Rows) -> list[dict[str, Any]]:
    """The headline metrics of each group, as values that JSON can hold: database by database, in the order of the attributes and words.

    Keys: ``database``, ``attribute``, ``value``, ``rows``, ``people`` if the database says who is on each of the rows, and ``metrics``: by task those
    of `HEADLINE` and ``labels``, and ``intervals`` if there are. A task on which the group is too small is missing from ``metrics``.

    Args:
        attributes: of the people.
        judged: all rows of the split.
        counted: int64, numbers of the rows that count.
    """
    return [
        {"database": judged.names[code], "attribute": attribute.name, "value": word, **_judgement(judged, rows)}
        for code in np.unique(judged.databases[counted]).tolist()
        for attribute in attributes
        for word, rows in _groups(attribute, counted[judged.databases[counted] == code])
    ]


def minimum() -> dict[str, int]:
    """From how many labelled ``rows`` and ``people`` on a group is scored, as evaluations state it."""
    return {"rows": MINIMUM_ROWS, "people": MINIMUM_PEOPLE}


def _groups(attribute: Attribute, rows: Rows) -> Iterator[tuple[str, Rows]]:
    codes = attribute.codes[rows]
    for code in np.unique(codes[codes >= 0]).tolist():
        yield attribute.words[code], rows[codes == code]


def _judgement(judged: SplitRows, rows: Rows) -> dict[str, Any]:
    people = judged.clusters.rows(rows)
    scored = [task for task, has in judged.labelled.items() if is_enough(rows[has[rows]], judged.clusters)]
    return {
        "rows": len(rows),
        **({"people": people.count} if people.kinds["subject"] == people.count else {}),
        "metrics": _headline(judged.metrics(rows), scored) if scored else {},
    }


def is_enough(rows: Rows, clusters: Clusters) -> bool:
    """Whether labelled rows, by number, are enough to score a group on them."""
    return len(rows) >= MINIMUM_ROWS and clusters.rows(rows).count >= MINIMUM_PEOPLE


def _headline(found: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {task: {name: found[task][name] for name in (*HEADLINE[task], "labels")} for task in tasks}
    if "intervals" in found:
        places = [f"{task}.{name}" for task in tasks for name in HEADLINE[task]]
        intervals = {place: found["intervals"]["metrics"].get(place) for place in places}
        kept["intervals"] = {**found["intervals"], "metrics": intervals}
    return kept
