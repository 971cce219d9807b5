"""Corrections by people as they may leave: the new labels, never those that they replace, which are the database's.

Who owns the database has the old labels, so that decisions can be made from both again, and the next one can be undone as usual.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from affect_data.build.existing import read_lock
from affect_data.corrections.decisions import Decision, Field_, Labels, read_decisions
from affect_data.corrections.label_values import labels_of
from affect_data.corrections.versions import apply_decisions, read_changes
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.errors import UsageError
from affect_data.hub.derived import PICTURE_KEY, UID, all_picture_keys, picture_keys
from affect_data.hub.repository import Repository
from affect_data.hub.tables import ROWS_PER_GROUP_OF_NUMBERS, write_parquet

CORRECTIONS: Final = "corrections"
NEW: Final = "new_labels"
WHEN: Final = "decided"
WHO: Final = "published"
"""Stands for the reviewer, whose name stays where the review was made."""


def built_decisions(folder: DatasetFolder, files: Sequence[Path]) -> list[Decision]:
    """The decisions that the build of a dataset applied, from the files that its recipe names; the dataset keeps their ids alone.

    Args:
        folder: the dataset.
        files: of decisions; none are given if no decision is to be found.

    Raises:
        DecisionsError: a line of a file is no decision.
        UsageError: decisions that the build applied are not in the files.
    """
    if not files:
        return []
    applied = set((read_lock(folder.path).get("decisions") or {}).get("ids", []))
    found = [decision for file in files for decision in read_decisions(file) if decision.id in applied]
    missing = applied - {decision.id for decision in found}
    if missing:
        raise UsageError(
            f"{len(missing):,} of the {len(applied):,} decisions that made the labels of '{folder.path}' are not in {', '.join(map(str, files))}: "
            "name every file that its recipe names under `decisions`, by --decisions FILE each"
        )
    return found


def corrected_rows(folder: DatasetFolder, built: Sequence[Decision] = ()) -> pl.DataFrame:
    """`split`, `uid`, `picture_key`, `new_labels` (JSON, as in a decision) and `decided` of every row that people changed.

    Args:
        folder: the dataset.
        built: the decisions that its build applied, from `built_decisions`; those of reviews since then are known without them.
    """
    merged = _built_labels(folder, built)
    for change in read_changes(folder).iter_rows(named=True):
        place = (change["split"], change[UID])
        fields, _ = merged.get(place, ({}, ""))
        merged[place] = ({**fields, **Labels.model_validate_json(change["new"]).fields()}, change["when"])
    rows = [
        {"split": split, UID: uid, NEW: Labels.of_fields(fields).model_dump_json(exclude_unset=True), WHEN: when}
        for (split, uid), (fields, when) in merged.items()
    ]
    names = ("split", UID, NEW, WHEN)
    corrected = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))
    return corrected.join(all_picture_keys(folder), on=["split", UID], how="left", maintain_order="left").select(
        "split", UID, PICTURE_KEY, NEW, WHEN
    )


def _built_labels(
    folder: DatasetFolder, built: Sequence[Decision]
) -> dict[tuple[str, str], tuple[dict[Field_, Any], str]]:
    """By split and uid: the labels, as they are now, that decisions of the build have set, and when the last of them was made."""
    if not built:
        return {}
    digests = pl.Series([decision.image_digest for decision in built]).unique()
    places: dict[tuple[str, str, int], list[tuple[str, dict[str, Any]]]] = {}
    for split in folder.splits:
        near = folder.labels(split).filter(pl.col("image_digest").is_in(digests.implode()))
        for row in near.iter_rows(named=True):
            places.setdefault((row["database"], row["image_digest"], row["face"]), []).append((split, row))
    merged: dict[tuple[str, str], tuple[dict[Field_, Any], str]] = {}
    for decision in built:
        there = places.get((decision.database, decision.image_digest, decision.face), [])
        for split, row in there if len(there) == 1 else [place for place in there if place[1][UID] == decision.uid]:
            now = labels_of(row).fields()
            fields, _ = merged.get((split, row[UID]), ({}, ""))
            own = {field: now[field] for field in decision.new.fields()}
            merged[split, row[UID]] = ({**fields, **own}, decision.when)
    return merged


def write_corrections(corrected: pl.DataFrame, split: str, path: Path) -> None:
    """Writes the corrections of a split."""
    from datasets import Features, Value

    own = corrected.filter(pl.col("split") == split).drop("split")
    described = Features({name: Value("string") for name in own.columns})
    write_parquet(path, iter([own.to_arrow().cast(described.arrow_schema)]), described, ROWS_PER_GROUP_OF_NUMBERS)


def apply_published(repository: Repository, folder: DatasetFolder) -> tuple[int, int]:
    """Applies the published corrections to a dataset as a new version of its labels.

    Args:
        repository: that they were published to.
        folder: the dataset.

    Returns:
        How many rows were corrected, and how many corrections found no row with the same picture and box.
    """
    config = repository.published.configs.get(CORRECTIONS)
    if config is None:
        return 0, 0
    decisions: list[Decision] = []
    unmatched = 0
    for split, paths in config.splits.items():
        table = pa.concat_tables([repository.read_with(path, _table) for path in paths])
        if split in folder.splits:
            found, lost = _decisions(folder, split, table.to_pylist())
            decisions += found
            unmatched += lost
        else:
            unmatched += len(table)
    if not decisions:
        return 0, unmatched
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / f"{CORRECTIONS}.jsonl"
        file.write_text("".join(decision.to_line() for decision in decisions), encoding="utf-8")
        report = apply_decisions(folder.path, file, fitting=True)
    lost = len(report.matching.misfits)
    return len(decisions) - lost, unmatched + lost


def _decisions(folder: DatasetFolder, split: str, rows: Iterable[dict[str, str]]) -> tuple[list[Decision], int]:
    """The decisions that published corrections are for the labels of a split, and how many fit no row."""
    keys = picture_keys(folder, split)
    places = {
        pair: place
        for place, pair in enumerate(zip(*(keys.column(name).to_pylist() for name in (UID, PICTURE_KEY)), strict=True))
    }
    labels = folder.labels(split)
    found, unmatched = [], 0
    for row in rows:
        place = places.get((row[UID], row[PICTURE_KEY]))
        if place is None:
            unmatched += 1
            continue
        own = labels.row(place, named=True)
        before = labels_of(own).fields()
        new = {
            field: value
            for field, value in Labels.model_validate_json(row[NEW]).fields().items()
            if before[field] != value
        }
        if new:
            found.append(_decision(folder, split, own, {field: before[field] for field in new}, new, row[WHEN]))
    return found, unmatched


def _decision(
    folder: DatasetFolder, split: str, row: dict[str, Any], old: dict[Field_, Any], new: dict[Field_, Any], when: str
) -> Decision:
    masks = all(value is None for value in new.values())
    return Decision(
        id=hashlib.sha256(f"{row[UID]} {sorted(new)}".encode()).hexdigest()[:16],
        uid=row[UID],
        split=split,
        image_digest=row["image_digest"],
        face=row["face"],
        database=row["database"],
        dataset=open_dataset(folder.path).fingerprint,
        action="mask" if masks else "correct",
        old=Labels.of_fields(old),
        new=Labels.of_fields(new),
        who=WHO,
        when=when,
    )


def _table(file: IO[bytes]) -> pa.Table:
    return pq.read_table(file)
