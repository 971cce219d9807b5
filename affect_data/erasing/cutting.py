"""Cuts the rows that stay into shards as a build would cut them, and numbers the origins that are left."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.build.databases import BYTES_OF_A_FRAME, CLIPS_AT_LEAST, PICTURES_WEIGHED, ROWS_AT_LEAST, rows_of_size
from affect_data.build.erased import files_of_erased_rows
from affect_data.build.existing import read_lock
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.layout import ORIGIN_COLUMNS
from affect_data.dataset.merged import databases_of
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.schema import FRAMES, IMAGES
from affect_data.erasing.selection import Selection

Kept = dict[tuple[str, str], npt.NDArray[np.bool_]]
"""Whether each planned row stays, by split and database."""

NO_ROW = -1
"""In place of a row number: a row of the annotation files whose picture cannot be used."""


@dataclass(frozen=True)
class Planned:
    """The rows of one database in one split, as a build plans them.

    Attributes:
        split: of the rows.
        database: of the rows.
        rows: number of each row in the split, `NO_ROW` for a row that was not written.
        origins: of each row.
    """

    split: str
    database: str
    rows: npt.NDArray[np.int64]
    origins: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """The new division into files.

    Attributes:
        shards: for each split the row numbers, before the erasure, of every shard.
        origins: the new table of each database.
        numbers: for each database the new number of each old origin; -1 for one that is gone.
        failures: that stay, with new positions and origins.
    """

    shards: dict[str, list[npt.NDArray[np.int64]]]
    origins: dict[str, pl.DataFrame]
    numbers: dict[str, npt.NDArray[np.int64]]
    failures: pl.DataFrame


def planned_rows(folder: DatasetFolder, failures: pl.DataFrame) -> list[Planned]:
    """The rows of every split and database in the order of a build, with the places of rows that were not written.

    Datasets that an affectkit before this one built do not say where these places are; they then count as lines without a row.
    """
    found = []
    for split in folder.splits:
        stored = folder.stored_labels(split, ["database", "source_file"])
        codes, origin = (stored.column(name).to_numpy() for name in ("database", "origin"))
        for code, name in enumerate(folder.manifest.databases):
            written = np.flatnonzero(codes == code)
            lost = failures.filter(pl.col("database") == name, pl.col("split") == split).sort("position")
            rows = np.full(len(written) + len(lost), NO_ROW, np.int64)
            origins = np.empty(len(rows), np.int64)
            gaps = np.zeros(len(rows), bool)
            gaps[lost["position"].to_numpy()] = True
            rows[~gaps], origins[~gaps] = written, origin[written]
            origins[gaps] = lost["origin"].to_numpy()
            found.append(Planned(split, name, rows, origins))
    return found


def cut(folder: DatasetFolder, planned: Sequence[Planned], selection: Selection, failures: pl.DataFrame) -> Cut:
    """The shards and origins of a dataset without the selected rows.

    Args:
        folder: the dataset.
        planned: its rows, from `planned_rows`.
        selection: what is erased.
        failures: of the dataset, with the lines of erased people.
    """
    kept = {(part.split, part.database): _stays(folder, part, selection) for part in planned}
    shards: dict[str, list[npt.NDArray[np.int64]]] = {split: [] for split in folder.splits}
    numbers, origins, parts = {}, {}, []
    for name in folder.manifest.databases:
        own = [part for part in planned if part.database == name]
        seen = np.concatenate([part.origins[kept[part.split, name]] for part in own])
        order = seen[np.sort(np.unique(seen, return_index=True)[1])]
        table = folder.view.origins[name]
        numbers[name] = np.full(len(table), -1, np.int64)
        numbers[name][order] = np.arange(len(order))
        known = pl.from_arrow(table)
        assert isinstance(known, pl.DataFrame)
        origins[name] = known.select(ORIGIN_COLUMNS)[order]
    lengths = {name: _shard_rows(folder, planned, kept, name) for name in folder.manifest.databases}
    for part in planned:
        stays = kept[part.split, part.database]
        rows, length = part.rows[stays], lengths[part.database]
        for start in range(0, len(rows), length):
            piece = rows[start : start + length]
            shards[part.split].append(piece[piece != NO_ROW])
        parts.append(_moved(failures, part, stays, numbers[part.database]))
    unplaced = failures.filter(pl.col("split") == "")
    moved = pl.concat([unplaced.filter(~_of_erased_files(folder, planned, kept, unplaced)), *parts])
    order_by = ("database", "source_file", "source_line", "split", "position")
    return Cut(shards, origins, numbers, moved.sort(order_by))


def _stays(folder: DatasetFolder, part: Planned, selection: Selection) -> npt.NDArray[np.bool_]:
    """Whether each planned row stays; a row that was not written goes with its person."""
    gone = np.zeros(len(part.rows), bool)
    written = part.rows != NO_ROW
    gone[written] = selection.masks[part.split][part.rows[written]]
    people = pl.Series(folder.view.origins[part.database].column("subject"))
    erased = (part.database + ":" + people).is_in(list(selection.subjects)).to_numpy()
    gone[~written] = erased[part.origins[~written]]
    return ~gone


def _moved(
    failures: pl.DataFrame, part: Planned, stays: npt.NDArray[np.bool_], numbers: npt.NDArray[np.int64]
) -> pl.DataFrame:
    """The failures of one database and split that stay, at their new positions."""
    own = failures.filter(pl.col("database") == part.database, pl.col("split") == part.split)
    position, origin = own["position"].to_numpy(), own["origin"].to_numpy()
    place = np.cumsum(stays) - 1
    moved = own.with_columns(
        pl.Series("position", place[position], dtype=pl.Int32), pl.Series("origin", numbers[origin], dtype=pl.Int32)
    )
    return moved.filter(pl.Series(stays[position], dtype=pl.Boolean))


def _of_erased_files(
    folder: DatasetFolder, planned: Sequence[Planned], kept: Kept, failures: pl.DataFrame
) -> pl.Series:
    """Whether each line without a row is of a file all of whose rows are erased."""
    found = pl.Series([False] * len(failures), dtype=pl.Boolean)
    for name in folder.manifest.databases:
        own = [part for part in planned if part.database == name]
        files = pl.Series(folder.view.origins[name].column("source_file"))
        listed = files[np.concatenate([part.origins for part in own])]
        erased = ~np.concatenate([kept[part.split, name] for part in own])
        gone = files_of_erased_rows(listed, pl.Series(erased))
        found |= (failures["database"] == name) & failures["source_file"].is_in(gone)
    return found


def _shard_rows(
    folder: DatasetFolder,
    planned: Sequence[Planned],
    kept: Kept,
    name: str,
) -> int:
    """Rows of a shard of a database: those of the recipe, otherwise as many as a build would take for the pictures that stay."""
    fixed = (read_lock(folder.path).get("recipe") or {}).get("shard_rows")
    if fixed:
        return int(fixed)
    own = [(part.split, part.rows[kept[part.split, name]]) for part in planned if part.database == name]
    if _reads_videos(folder, own):
        return rows_of_size(BYTES_OF_A_FRAME, ROWS_AT_LEAST)
    rows, of_part = (
        np.concatenate([found for _, found in own]),
        np.repeat(np.arange(len(own)), [len(f) for _, f in own]),
    )
    step = max(1, len(rows) // PICTURES_WEIGHED)
    weighed = [(own[part][0], int(row)) for part, row in zip(of_part[::step], rows[::step], strict=True)]
    sizes = [_picture_bytes(folder, split, row) for split, row in weighed if row != NO_ROW]
    mean, least = max(1.0, sum(sizes) / max(1, len(sizes))), ROWS_AT_LEAST
    if _has_clips(folder, name):
        frames = [_frames(folder, split, int(row)) for split, found in own for row in found if row != NO_ROW]
        mean, least = mean * (1 + sum(frames) / max(1, len(frames))), CLIPS_AT_LEAST
    return rows_of_size(mean, least)


def _reads_videos(folder: DatasetFolder, own: Sequence[tuple[str, npt.NDArray[np.int64]]]) -> bool:
    """Whether the rows of a database name frames of videos, of which its first one tells."""
    first = next(((split, int(row)) for split, rows in own for row in rows if row != NO_ROW), None)
    return folder.videos is not None and first is not None and SplitPictures(folder, first[0]).video(first[1]) != ""


def _has_clips(folder: DatasetFolder, name: str) -> bool:
    return folder.manifest.layout.clips and databases_of(folder)[name].has_clips


def _picture_bytes(folder: DatasetFolder, split: str, row: int) -> int:
    return int(folder.load(split, [IMAGES]).data.table.column("image")[row]["bytes"].as_buffer().size)


def _frames(folder: DatasetFolder, split: str, row: int) -> int:
    return len(folder.load(split, [FRAMES]).data.table.column(FRAMES)[row])
