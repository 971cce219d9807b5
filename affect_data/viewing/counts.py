"""How many rows every choice of every filter has."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from affect_data.viewing.evidence import SEVERITIES
from affect_data.viewing.filters import ANY, NONE, STATES, UNIT_STATES, causes
from affect_data.viewing.table import CELLS, LISTED, LabelTable, tasks
from affect_data.vocabulary import COMPOUND_EXPRESSIONS, EXPRESSIONS

MOST_NAMES: Final = 12
"""Subjects and tracks that are offered by name: those with most rows."""


def count_choices(
    table: LabelTable, whole: pl.Series, allowed: Mapping[str, pl.Series], decided: pl.Series
) -> dict[str, Any]:
    """Counts by key and choice.

    Args:
        table: the labels.
        whole: bool [rows], the rows of the view.
        allowed: by key, the rows that the filters of all other keys let through.
        decided: what was decided about each row, as a code of `STATES`.

    Returns:
        ``total``: rows of the view; ``choices``: by key, the rows of every choice; ``plane``: rows in each cell of the VA plane, row by row from the
        lowest arousal; ``names``: how many releases, subjects and tracks there are, of which `choices` has those with most rows.
    """
    masks = {f"allowed.{key}": mask for key, mask in allowed.items()}
    wanted = _expressions(table)
    frame = table.frame.with_columns(decided.alias("decided"), **masks)
    found = frame.select(
        **{
            f"{key}\0{choice}": (chosen & pl.col(f"allowed.{key}")).sum()
            for key, choices in wanted.items()
            for choice, chosen in choices.items()
        }
    ).row(0, named=True)
    counted: dict[str, dict[str, int]] = {key: {} for key in wanted}
    for name, count in found.items():
        key, _, choice = name.partition("\0")
        counted[key][choice] = count
    names = {}
    for key in ("release", "subject", "track"):
        counted[key], names[key] = _named(table.frame[key], allowed[key])
    cells = table.frame["plane"].filter(allowed["va"]).to_numpy()
    plane = np.bincount(cells[cells >= 0], minlength=CELLS * CELLS)
    return {"total": int(whole.sum()), "choices": counted, "plane": plane.tolist(), "names": names}


def _expressions(table: LabelTable) -> dict[str, dict[str, pl.Expr]]:
    """For each key with few choices, which rows every choice has."""

    def coded(column: str, names: Sequence[str], *, none: bool = False) -> dict[str, pl.Expr]:
        found = {name: pl.col(column) == code for code, name in enumerate(names)}
        return found | ({NONE: pl.col(column) == -1} if none else {})

    labelled = tasks(table.units)
    found = {
        "database": coded("database", table.databases),
        "split": coded("split", table.splits),
        "expression": coded("expression", EXPRESSIONS, none=True),
        "compound": coded("compound", COMPOUND_EXPRESSIONS, none=True),
        "task": {f"{sign}{name}": ~is_ if sign else is_ for name, is_ in labelled.items() for sign in ("", "-")},
        "au": {
            f"{sign}{number}": pl.col(f"au{number}") == value
            for number in table.units
            for sign, value in UNIT_STATES.items()
        },
        "finding": {
            ANY: pl.col("severity").is_not_null(),
            NONE: pl.col("severity").is_null(),
            **{name: pl.col(f"finding.{name}").is_not_null() for name in table.checks},
        },
        "severity": {name: (pl.col("severity") == rank).fill_null(value=False) for rank, name in enumerate(SEVERITIES)},
        "decided": coded("decided", STATES),
        "why": causes(table),
        "copies": {ANY: pl.col("copies").is_not_null()},
    }
    if LISTED in table.frame.columns:
        found["rows"] = {LISTED: pl.col(LISTED).is_not_null()}
    return found


def _named(column: pl.Series, mask: pl.Series) -> tuple[dict[str, int], int]:
    """The names with most rows, and how many names there are."""
    codes = column.to_physical().filter(mask).drop_nulls().to_numpy()
    counts = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    best = np.argsort(-counts, kind="stable")[:MOST_NAMES]
    assert isinstance(column.dtype, pl.Enum)
    texts = column.dtype.categories
    return {texts[int(code)]: int(counts[code]) for code in best if counts[code]}, int((counts > 0).sum())
