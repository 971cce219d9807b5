"""The audit: its base class, and the dataset as audits see it.

An audit states facts (name, rule, severity, source) as class attributes. `Audit.find` turns a dataset into findings: a row for each suspicious label
or picture, with a score in [0, 1], where 1 is certainly wrong. Audits never change a label: a person decides.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from affect_data.audit.pictures.copies import Copies
    from affect_data.audit.pictures.facts import Pictures

NORMAL_DEVIATION: Final = 1.4826
"""Factor from the median absolute deviation to the standard deviation of a normal distribution."""

Progress = Callable[[str, int, int], None]


class Severity(StrEnum):
    """How serious a finding is, most serious first."""

    ERROR = "error"
    """Certainly wrong; an audit that finds one fails."""
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


@dataclass
class AuditedDataset:
    """A dataset as audits see it: the labels of all splits in one frame; pictures and soft labels are read on demand.

    Attributes:
        folder: the dataset.
        workers: processes that decode pictures.
        progress: is called during long steps.
    """

    folder: DatasetFolder
    workers: int = 1
    progress: Progress = field(default=lambda *_: None)

    @cached_property
    def labels(self) -> pl.DataFrame:
        """The label columns of all splits with `database` as a name, and `row` (position over all splits), `split` and `expression_name`."""
        parts = [self.folder.labels(split).with_columns(pl.lit(split).alias("split")) for split in self.folder.splits]
        names = dict(enumerate(EXPRESSIONS))
        named = pl.col("expression").replace_strict(names, default=None, return_dtype=pl.String)
        return pl.concat(parts).with_columns(named.alias("expression_name")).with_row_index("row")

    @cached_property
    def occurrence(self) -> "npt.NDArray[np.int8]":
        """The occurrence of action units, int8 [rows, slots]; -1 where there is no label."""
        return self.labels["au"].to_numpy()

    @cached_property
    def intensity(self) -> "npt.NDArray[np.float32]":
        """The intensity of action units, float32 [rows, slots] in 0..5; NaN where there is no label."""
        return self.labels["au_intensity"].to_numpy()

    @cached_property
    def pictures(self) -> "Pictures":
        """Every distinct face picture of the dataset: hashes, small copies, measurements."""
        from affect_data.audit.pictures.facts import read_pictures

        return read_pictures(self.folder, self.labels, self.workers, self.progress)

    @cached_property
    def copies(self) -> "Copies":
        """Which rows show the same picture or nearly the same."""
        from affect_data.audit.pictures.copies import find_copies

        return find_copies(self.pictures, self.labels)

    def teachers(self) -> dict[str, SoftLabelProvenance]:
        """Provenance of the soft labels that fit the dataset, by name."""
        return {name: SOFT_LABELS.read(self.folder, name) for name in SOFT_LABELS.fitting(self.folder)}

    def logits(self, teacher: str, head: str) -> "npt.NDArray[np.float32]":
        """A teacher's logits of all splits, float32 [rows, width], in the row order of `labels`."""
        import numpy as np

        group, column = SOFT_LABELS.group(teacher), SOFT_LABELS.column(teacher, head)
        parts = []
        for split in self.folder.splits:
            values = self.folder.load(split, [group]).data.table.column(column).combine_chunks()
            parts.append(values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1))
        return np.concatenate(parts).astype(np.float32)

    def feature_names(self) -> tuple[str, ...]:
        """Names of the stored features that fit the dataset, alphabetical."""
        return FEATURES.fitting(self.folder)

    def features(self, name: str) -> "npt.NDArray[np.float32]":
        """Stored features of all splits, float32 [rows, width], in the row order of `labels`."""
        import numpy as np

        group = FEATURES.group(name)
        parts = []
        for split in self.folder.splits:
            values = self.folder.load(split, [group]).data.table.column(group).combine_chunks()
            flat = values.flatten().to_numpy(zero_copy_only=False)
            parts.append(flat.reshape(len(values), -1).astype(np.float32))
        return np.concatenate(parts)


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
