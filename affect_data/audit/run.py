"""Runs audits over a dataset and keeps their findings in ``audit.parquet``, worst first."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from affect_data.audit.base import FINDINGS, AuditedDataset, Progress, Severity
from affect_data.audit.registry import AUDITS, audit_named
from affect_data.dataset.folder import AUDIT as AUDIT
from affect_data.dataset.folder import AUDIT_FINGERPRINT as FINGERPRINT
from affect_data.dataset.folder import AUDIT_PICTURES, DatasetFolder, open_dataset
from affect_data.errors import DataError
from affect_data.files import exclusive, written_file


class NotAuditedError(DataError):
    """The dataset was not audited, or its findings are about earlier labels."""

    def __init__(self, path: Path, because: str) -> None:
        super().__init__(f"'{path}' {because}. Audit it: `affect-data audit {path}`")


@dataclass(frozen=True)
class AuditReport:
    """The findings of audits.

    Attributes:
        dataset: path of the dataset.
        findings: of the checks that ran, with the columns of `FINDINGS`; sorted by check, highest score first.
        ran: names of the checks that ran.
        skipped: why a check did not run, by name.
    """

    dataset: Path
    findings: pl.DataFrame
    ran: tuple[str, ...]
    skipped: dict[str, str]

    @property
    def has_errors(self) -> bool:
        """Whether a finding is an error."""
        return bool((self.findings["severity"] == Severity.ERROR.value).any())

    def by_check(self) -> pl.DataFrame:
        """A row for each check: `check, findings, rows, error, warning, review, highest`."""
        ran = pl.DataFrame({"check": list(self.ran)}, schema={"check": pl.String})
        counted = self.findings.group_by("check").agg(
            pl.len().alias("findings"),
            pl.struct("uid", "split").n_unique().alias("rows"),
            *((pl.col("severity") == level.value).sum().alias(level.value) for level in Severity),
            pl.col("score").max().alias("highest"),
        )
        joined = ran.join(counted, on="check", how="left", maintain_order="left")
        return joined.with_columns(pl.exclude("check", "highest").fill_null(0))

    def to_json(self) -> dict[str, Any]:
        """The report as plain lists and dictionaries; the findings themselves stay in the file."""
        return {
            "dataset": str(self.dataset),
            "file": AUDIT,
            "has_errors": self.has_errors,
            "checks": self.by_check().to_dicts(),
            "skipped": self.skipped,
        }


def run_audits(
    folder: DatasetFolder, checks: Sequence[str] = (), *, workers: int = 1, progress: Progress = lambda *_: None
) -> AuditReport:
    """The findings of checks, also written to ``audit.parquet``; the file's findings of other checks stay if the labels are the same.

    Args:
        folder: the dataset.
        checks: names of the registry; empty: all.
        workers: processes that decode pictures.
        progress: is called at every check and during long steps.

    Raises:
        UnknownNameError: there is no check of this name.
        DataError: a named check cannot run on this dataset.
    """
    audits = [audit_named(name)() for name in (dict.fromkeys(checks) if checks else AUDITS)]
    dataset = AuditedDataset(folder, workers, progress)
    skipped: dict[str, str] = {}
    parts = [pl.DataFrame(schema=FINDINGS)]
    for done, audit in enumerate(audits, start=1):
        because = audit.not_applicable(dataset)
        if because and checks:
            raise DataError(f"the check '{audit.name}' cannot run on '{folder.path}': {because}")
        if because:
            skipped[audit.name] = because
        else:
            parts.append(audit.find(dataset).with_columns(pl.lit(audit.name).alias("check")).select(*FINDINGS))
        progress("auditing", done, len(audits))
    ran = tuple(audit.name for audit in audits if audit.name not in skipped)
    found = _ordered(pl.concat(parts))
    write_audit(folder, found, tuple(audit.name for audit in audits))
    return AuditReport(folder.path, found, ran, skipped)


def read_audit(path: Path | str) -> pl.DataFrame:
    """The findings of a dataset, with the columns of `FINDINGS`.

    Raises:
        NotAuditedError: the dataset was not audited, or its labels have changed since.
    """
    folder = open_dataset(path)
    if not (folder.path / AUDIT).is_file():
        raise NotAuditedError(folder.path, "was not audited")
    if pl.read_parquet_metadata(folder.path / AUDIT).get(FINGERPRINT) != folder.fingerprint:
        raise NotAuditedError(folder.path, "has changed since it was audited")
    return pl.read_parquet(folder.path / AUDIT)


def write_audit(folder: DatasetFolder, found: pl.DataFrame, checks: tuple[str, ...] = ()) -> None:
    """Writes findings to ``audit.parquet``; those of other checks than the named ones stay if the labels are the same.

    Args:
        folder: the dataset that they are about, as it is now.
        found: with the columns of `FINDINGS`.
        checks: names of the checks that ran.
    """
    with suppress(NotAuditedError):
        found = _ordered(pl.concat([read_audit(folder.path).filter(~pl.col("check").is_in(list(checks))), found]))
    with exclusive(folder.path), written_file(folder.path / AUDIT) as partial:
        found.write_parquet(
            partial, metadata={FINGERPRINT: folder.fingerprint, AUDIT_PICTURES: folder.manifest.fingerprints.pictures}
        )


def _ordered(found: pl.DataFrame) -> pl.DataFrame:
    rank = pl.col("check").replace_strict({name: i for i, name in enumerate(AUDITS)}, default=len(AUDITS))
    return found.sort(rank, "score", "uid", "evidence", descending=[False, True, False, False])
