"""Writes the column groups of a dataset without the erased rows; shards that hold the same rows as before become second names of their files."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.build.existing import read_lock
from affect_data.build.jobs import ShardRecord
from affect_data.build.sealing import seal, write_origins
from affect_data.dataset.folder import LABEL_NAMES, DatasetFolder, Manifest, group_files
from affect_data.dataset.hashing import combined_hash, content_hash
from affect_data.dataset.layout import PEOPLE, PEOPLE_COLUMNS, Layout, frames_hash, shown_hash
from affect_data.dataset.merged import databases_of
from affect_data.dataset.schema import FRAMES, IMAGES, LABELS
from affect_data.dataset.view import LabelView, side_by_side
from affect_data.dataset.writing import (
    CLIPS_PER_BATCH,
    LABELS_PER_BATCH,
    ROWS_PER_BATCH,
    seal_group,
    shard_name,
    write_shard,
)
from affect_data.erasing.cutting import Cut
from affect_data.files import link_file

if TYPE_CHECKING:
    from datasets import Features

BATCH_ROWS: Final = {IMAGES: ROWS_PER_BATCH, FRAMES: CLIPS_PER_BATCH}

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rewriting:
    """A dataset that is written again without some rows.

    Attributes:
        old: the dataset.
        cut: which rows go into which shard.
        layout: of the new one.
        new: its folder.
    """

    old: DatasetFolder
    cut: Cut
    layout: Layout
    new: Path

    def write(self) -> Manifest:
        """Writes pictures, labels and side groups; returns the manifest that names them."""
        records = [
            self._shard(split, index) for split in self.old.splits for index in range(len(self.cut.shards[split]))
        ]
        return seal(self.new, self.layout, records, write_origins(self.new, self.cut.origins))

    def kept(self, split: str) -> Rows:
        """The numbers of the rows of a split that stay, in order."""
        shards = self.cut.shards[split]
        return np.concatenate(shards) if shards else np.empty(0, np.int64)

    def _shard(self, split: str, index: int) -> ShardRecord:
        rows, count = self.cut.shards[split][index], len(self.cut.shards[split])
        labels = self._labels(split, rows)
        same = self._same_shard(split, rows)
        found = {}
        for group in (*self.layout.pictures, *self.layout.groups, *self.layout.side_groups):
            path = self.new / split / group / shard_name(index, count)
            if same is not None and group in self.layout.pictures:
                path.parent.mkdir(parents=True, exist_ok=True)
                place = self.old.group_folder(split, group)
                link_file(place / group_files(place)[same], path)
                found[group] = self.old.manifest.shards[split][group][same]
                continue
            table = labels[group] if group in labels else rows_of(self._tables[split, group], rows)
            batch = BATCH_ROWS.get(group, LABELS_PER_BATCH)
            write_shard(path, in_batches(table, batch), self.layout.features(group), batch)
            found[group] = self._fingerprint(group, table, labels[LABELS])
        found[PEOPLE] = content_hash(self._shown(labels[LABELS], PEOPLE_COLUMNS).to_arrow())
        return ShardRecord(split, index, "", len(rows), "", found)

    def _fingerprint(self, group: str, table: pa.Table, labels: pa.Table) -> str:
        if group == IMAGES:
            return shown_hash(self._shown(labels, ("image_digest", "face_box")))
        if group == FRAMES:
            return frames_hash(
                [hashlib.sha256(frame["bytes"]).hexdigest() for frame in row] for row in _frames_of(table)
            )
        return content_hash(table)

    def _shown(self, labels: pa.Table, columns: Sequence[str]) -> pl.DataFrame:
        return self._view.frame(labels, columns)

    @cached_property
    def _view(self) -> LabelView:
        return LabelView(self.layout, {name: known.to_arrow() for name, known in self.cut.origins.items()})

    def _labels(self, split: str, rows: Rows) -> dict[str, pa.Table]:
        """The stored labels of a shard and their side groups, in the new layout and with the new origins."""
        stored = {group: rows_of(self._tables[split, group], rows) for group in self.layout.groups}
        if self.layout != self.old.manifest.layout:
            frame = self.old.view.frame(side_by_side(list(stored.values())), LABEL_NAMES)
            origin = pl.from_arrow(stored[LABELS].column("origin"))
            stored = {
                group: self.layout.stored(frame.with_columns(pl.Series("origin", origin)), group) for group in stored
            }
        stored[LABELS] = self.renumbered(stored[LABELS])
        return stored

    def renumbered(self, labels: pa.Table) -> pa.Table:
        """Stored labels with the new numbers of their origins."""
        codes, origin = (labels.column(name).to_numpy() for name in ("database", "origin"))
        new = np.empty(len(labels), np.int32)
        for code, name in enumerate(self.layout.databases):
            own = codes == code
            new[own] = self.cut.numbers[name][origin[own]]
        place = labels.column_names.index("origin")
        return labels.set_column(place, labels.schema.field("origin"), pa.array(new))

    def _same_shard(self, split: str, rows: Rows) -> int | None:
        """The number of the old shard with exactly these rows; None if there is none."""
        starts = self._starts[split]
        if not len(rows) or rows[-1] - rows[0] + 1 != len(rows):
            return None
        index = int(np.searchsorted(starts, rows[0]))
        fits = index < len(starts) - 1 and starts[index] == rows[0] and starts[index + 1] == rows[-1] + 1
        return index if fits else None

    @cached_property
    def _tables(self) -> dict[tuple[str, str], pa.Table]:
        layout = self.old.manifest.layout
        groups = (*layout.pictures, *layout.groups, *layout.side_groups)
        return {
            (split, group): self.old.load(split, [group]).data.table for split in self.old.splits for group in groups
        }

    @cached_property
    def _starts(self) -> dict[str, Rows]:
        """The first row of each old shard, by split; and behind the last, the number of rows."""
        found = {}
        for split in self.old.splits:
            place = self.old.group_folder(split, LABELS)
            lengths = [len(read_file(place / name)) for name in group_files(place)]
            found[split] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return found


def narrowed(old: DatasetFolder, cut: Cut) -> Layout:
    """The layout that a build would choose for the rows that stay.

    Rows whose pictures cannot be used, and labels before their correction, are not in the dataset although they decide the layout as well; with any
    of these, it stays as it is.
    """
    layout = old.manifest.layout
    corrected = LABELS in old.manifest.provenance or read_lock(old.path).get("decisions")
    if corrected or (cut.failures["split"] != "").any() or (layout.boxes == "none" and layout.whole_intensities):
        return layout
    frames = (
        old.labels(split, ("face_box", "au_intensity"))[np.concatenate(shards)]
        for split, shards in cut.shards.items()
        if sum(map(len, shards))
    )
    found = Layout.of(databases_of(old).values(), frames)
    return layout.model_copy(update={"boxes": found.boxes, "whole_intensities": found.whole_intensities})


def write_filtered(old: Path, new: Path, rows: Rows, features: "Features", group: str, split: str) -> str:
    """Writes a column group without the other rows, file by file, and seals it; returns its fingerprint.

    Args:
        old: folder of the group.
        new: folder to write.
        rows: numbers of the rows that stay, rising.
        features: of the group.
        group: its name.
        split: of the rows.
    """
    names, start, pieces = group_files(old), 0, []
    for name in names:
        table = read_file(old / name)
        own = rows[(rows >= start) & (rows < start + len(table))] - start
        start += len(table)
        pieces.append(rows_of(table, own))
    whole = pa.concat_tables(pieces)
    fingerprint = content_hash(whole, seed=group)
    written = [piece for piece in pieces if len(piece)] or pieces[:1]
    shards = [shard_name(index, len(written)) for index in range(len(written))]
    for shard, piece in zip(shards, written, strict=True):
        write_shard(new / shard, in_batches(piece, LABELS_PER_BATCH), features, LABELS_PER_BATCH)
    seal_group(new, shards, features, fingerprint, split)
    return fingerprint


def write_sharded(table: pa.Table, shards: Sequence[Rows], new: Path, features: "Features", split: str) -> list[str]:
    """Writes a group of labels in the shards of a cut, and seals it; returns the fingerprints of the shards."""
    names = [shard_name(index, len(shards)) for index in range(len(shards))]
    hashes = []
    for name, rows in zip(names, shards, strict=True):
        piece = rows_of(table, rows)
        write_shard(new / name, in_batches(piece, LABELS_PER_BATCH), features, LABELS_PER_BATCH)
        hashes.append(content_hash(piece))
    seal_group(new, names, features, combined_hash(hashes, seed=new.name), split)
    return hashes


def read_file(path: Path) -> pa.Table:
    """The rows of one file of a column group, over a memory map."""
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def rows_of(table: pa.Table, rows: Rows) -> pa.Table:
    """Some rows of a table, in rising order, as slices: no value is copied."""
    if not len(rows):
        return table.schema.empty_table()
    ends = np.flatnonzero(np.diff(rows) != 1)
    firsts, lasts = np.concatenate([[0], ends + 1]), np.concatenate([ends, [len(rows) - 1]])
    runs = zip(rows[firsts].tolist(), rows[lasts].tolist(), strict=True)
    return pa.concat_tables([table.slice(first, last - first + 1) for first, last in runs])


def in_batches(table: pa.Table, rows: int) -> pa.Table:
    """The table in chunks of so many rows, as a build writes them, with every value copied.

    A slice would be written with what lies behind its last value in the same 64 bytes: a part of an erased row.
    """
    if not len(table):
        return table
    pieces = [table.slice(at, rows).combine_chunks() for at in range(0, len(table), rows)]
    return pa.concat_tables([piece.take(pa.array(np.arange(len(piece)))) for piece in pieces])


def _frames_of(table: pa.Table) -> Iterator[list[dict[str, bytes]]]:
    return (row.as_py() for chunk in table.column(FRAMES).chunks for row in chunk)
