"""Findings of audits as they may leave, and how they come back to a rebuilt dataset: each on the row with the same picture and face box.

Below tier full they have no evidence, which names labels, and no score, from which a label can be computed. What stands for the score only keeps
the order within a check.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from affect_data.audit.base import FINDINGS
from affect_data.audit.checks.duplicates import Duplicates
from affect_data.audit.checks.leakage import Leakage
from affect_data.audit.run import AUDIT as AUDIT_FILE
from affect_data.audit.run import NotAuditedError, read_audit, write_audit
from affect_data.dataset.folder import DatasetFolder
from affect_data.hub.derived import PICTURE_KEY, UID, all_picture_keys
from affect_data.hub.published import AUDIT
from affect_data.hub.published_lock import published_lock
from affect_data.hub.repository import Repository
from affect_data.hub.tables import ROWS_PER_GROUP_OF_NUMBERS, write_parquet

EVIDENCE: Final = "evidence"
NO_EVIDENCE: Final = "{}"
GROUPED: Final = (Duplicates.name, Leakage.name)
"""Checks whose findings say nothing without their evidence, which names the other rows. Folds, splits and erasing go by it."""


def published_findings(folder: DatasetFolder, *, with_evidence: bool) -> tuple[pl.DataFrame | None, str]:
    """The findings of a dataset's audits as they leave, or None and why there are none.

    Args:
        folder: the dataset.
        with_evidence: whether evidence and scores are kept, which reveal labels.

    Returns:
        `split`, `uid`, `picture_key`, `check`, `severity`, `score`, and `evidence` if it is kept.
    """
    if not (folder.path / AUDIT_FILE).is_file():
        return None, ""
    try:
        found = read_audit(folder.path)
    except NotAuditedError as error:
        return None, str(error)
    if not with_evidence:
        place = pl.col("score").rank("max") / pl.len()
        found = found.with_columns(place.over("check").cast(pl.Float32).alias("score")).drop(EVIDENCE)
    keyed = found.join(all_picture_keys(folder), on=["split", UID], how="left", maintain_order="left")
    columns = [name for name in FINDINGS if name in found.columns and name not in ("split", UID)]
    return keyed.select("split", UID, pl.col(PICTURE_KEY).fill_null(""), *columns), ""


def write_findings(found: pl.DataFrame, split: str, path: Path) -> None:
    """Writes the findings of a split."""
    from datasets import Features, Value

    own = found.filter(pl.col("split") == split).drop("split")
    kinds = {pl.String: "string", pl.Float32: "float32"}
    described = Features({name: Value(kinds[type(kind)]) for name, kind in own.schema.items()})
    table = own.to_arrow().cast(described.arrow_schema)
    write_parquet(path, iter([table]), described, ROWS_PER_GROUP_OF_NUMBERS)


def attach_findings(repository: Repository, folder: DatasetFolder, lock: Mapping[str, Any]) -> tuple[int, str]:
    """Attaches published findings to a rebuilt dataset that has none of its own.

    A finding fits a row with the same uid, picture and face box, in a split and a database whose labels are all as they were published.

    Args:
        repository: that they were published to.
        folder: the dataset.
        lock: the published lock.

    Returns:
        How many fit, and, unless all do, how many do not and why.
    """
    if AUDIT not in repository.published.configs or _is_audited(folder):
        return 0, ""
    found = _read(repository)
    listed = len(found)
    if EVIDENCE in found.columns:
        grouped = 0
    else:
        grouped = int(found["check"].is_in(GROUPED).sum())
        found = found.filter(~pl.col("check").is_in(GROUPED)).with_columns(pl.lit(NO_EVIDENCE).alias(EVIDENCE))
    here = all_picture_keys(folder).join(_unchanged(lock, published_lock(folder)), on=["split", "database"])
    fitting = found.join(here, on=["split", UID, PICTURE_KEY], how="semi")
    if len(fitting):
        write_audit(folder, fitting.select(*FINDINGS))
    because = []
    if len(found) - len(fitting):
        because.append(
            f"{len(found) - len(fitting):,} of {listed:,} findings are about another picture or other labels"
        )
    if grouped:
        because.append(
            f"{grouped:,} of {listed:,} findings need evidence that was not published: `affect-data audit --check {GROUPED[0]}`, "
            f"`--check {GROUPED[1]}`"
        )
    return len(fitting), "; ".join(because)


def _is_audited(folder: DatasetFolder) -> bool:
    try:
        read_audit(folder.path)
    except NotAuditedError:
        return False
    return True


def _read(repository: Repository) -> pl.DataFrame:
    config = repository.published.configs[AUDIT]
    parts = [
        part.with_columns(pl.lit(split).alias("split"))
        for split, paths in config.splits.items()
        for path in paths
        if isinstance(part := pl.from_arrow(repository.read_with(path, _table)), pl.DataFrame)
    ]
    return pl.concat(parts)


def _table(file: IO[bytes]) -> pa.Table:
    return pq.read_table(file)


def _unchanged(before: Mapping[str, Any], after: Mapping[str, Any]) -> pl.DataFrame:
    """`split` and `database` of what has the same labels in two locks."""
    known = _labels(before)
    same = [
        {"split": split, "database": name}
        for (split, databases), prints in _labels(after).items()
        for name in databases.split("+")
        if before["fingerprints"]["labels"] == after["fingerprints"]["labels"]
        or (all(prints) and known.get((split, databases)) == prints)
    ]
    return pl.DataFrame(same, schema={"split": pl.String, "database": pl.String}).unique()


def _labels(lock: Mapping[str, Any]) -> dict[tuple[str, str], list[dict[str, str]]]:
    """By split and database, the fingerprints of its shards, in order; a shard of too few rows has none."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for shard in lock["shards"]:
        found.setdefault((shard["split"], shard["database"]), []).append(shard["fingerprints"])
    return found
