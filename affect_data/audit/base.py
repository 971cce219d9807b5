"""The audit: its base class, and what it finds.

An audit states facts (name, rule, severity, source) as class attributes. `Audit.find` turns a dataset into findings: a row for each suspicious label
or picture, with a score in [0, 1], where 1 is certainly wrong. Audits never change a label: a person decides.
"""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from affect_data.audit.rows import AuditedDataset as AuditedDataset
from affect_data.audit.rows import Progress as Progress
from affect_data.vocabulary import ACTION_UNITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NORMAL_DEVIATION: Final = 1.4826
"""Factor from the median absolute deviation to the standard deviation of a normal distribution."""


class Severity(StrEnum):
    """How serious a finding is, most serious first."""

    ERROR = "error"
    """A rule that holds in every dataset is broken: a value is no label, or the same people, videos or pictures are in two splits. An audit that
    finds one fails."""
    WARNING = "warning"
    """Wrong in most datasets, intended in some."""
    REVIEW = "review"
    """Unlikely; a person should look."""


FINDINGS: Final = {
    "uid": pl.String,
    "split": pl.String,
    "check": pl.String,
    "severity": pl.String,
    "score": pl.Float32,
    "evidence": pl.String,
}
"""Columns of ``audit.parquet``; `evidence` is a JSON object."""


class Audit(ABC):
    """One check.

    Subclasses state `name`, `title`, `severity`, `rule`, `source` and `example`, and implement `find`. A check that cannot run on a dataset says why
    in `not_applicable`; it is then skipped, with that reason.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity]
    """The severity of findings that state none of their own."""
    rule: ClassVar[str]
    """What is found, in one sentence, with every threshold."""
    source: ClassVar[str]
    """Where the rule comes from."""
    example: ClassVar[str]
    """A row that the check finds, with what is wrong with it."""

    def not_applicable(self, dataset: AuditedDataset) -> str:  # noqa: ARG002 - most checks apply to every dataset
        """Why the check cannot run on this dataset; empty if it can."""
        return ""

    @abstractmethod
    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """The findings: `uid, split, severity, score, evidence`, as `findings` makes them."""


def findings(
    rows: pl.DataFrame, score: pl.Expr, severity: Severity | pl.Expr, evidence: dict[str, pl.Expr | Any]
) -> pl.DataFrame:
    """The findings of a check, one for each row that it has picked, as a table.

    Args:
        rows: with `uid` and `split`.
        score: in [0, 1]; 1 is certainly wrong.
        severity: of all rows, or an expression that gives the name of each row's severity.
        evidence: what a person needs to judge a row, by name; it becomes a JSON object.
    """
    named = [
        (value if isinstance(value, pl.Expr) else pl.lit(value)).alias(name) for name, value in sorted(evidence.items())
    ]
    weight = pl.lit(severity.value) if isinstance(severity, Severity) else severity
    found = rows.select(
        "uid",
        "split",
        weight.cast(pl.String).alias("severity"),
        score.cast(pl.Float32).clip(0.0, 1.0).alias("score"),
        pl.struct(named).struct.json_encode().alias("evidence"),
    )
    return found if len(found) else no_findings()


def no_findings() -> pl.DataFrame:
    """An empty table of findings."""
    return pl.DataFrame(schema={name: kind for name, kind in FINDINGS.items() if name != "check"})


def units_named(rows: "npt.NDArray[np.bool_]") -> list[str]:
    """The action units marked in each row as text, such as ``AU6 AU12``.

    Args:
        rows: bool [rows, slots].
    """
    import numpy as np

    names = np.array([f"AU{number}" for number in ACTION_UNITS])
    return [" ".join(names[row]) for row in rows]
