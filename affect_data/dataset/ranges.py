"""A column group that is written range by range, by any number of processes, and committed once all ranges exist.

Each range is one Arrow file in a hidden folder of the dataset; the commit links the files into the column group without a copy. A range that exists
after a kill is not made again.
"""

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic

import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder, open_dataset, staged_group
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.kinds.base import GroupKind, Provenance
from affect_data.dataset.writing import seal_group, settle_groups, shard_name, write_manifest, write_shard
from affect_data.errors import DataError, NotADatasetError, UnknownNameError
from affect_data.files import exclusive, link_file

if TYPE_CHECKING:
    from datasets import Features

ROWS_PER_BATCH: Final = 16_384


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of a split, whose values are one file.

    Attributes:
        split: their split.
        index: of the file.
        count: of the files of the split.
        start: first row.
        stop: the row after the last.
    """

    split: str
    index: int
    count: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class RangeWriter(ABC, Generic[Provenance]):
    """Writes a column group range by range, and makes it part of the dataset once all ranges exist.

    Several processes may write different ranges of the same group at once; one of them, inside `owned`, commits.

    Args:
        path: dataset folder.
        kind: of the group.
        name: of the group, without the prefix of its kind.
        provenance: what the columns mean and where they come from.
        rows_per_range: rows of a file; None: one file for each split.
        rows_per_batch: rows of a record batch; few for pictures.

    Raises:
        StaleGroupError: the provenance names another dataset.
    """

    def __init__(
        self,
        path: Path | str,
        kind: GroupKind[Provenance],
        name: str,
        provenance: Provenance,
        rows_per_range: int | None = None,
        rows_per_batch: int = ROWS_PER_BATCH,
    ) -> None:
        self.folder = open_dataset(path)
        self.provenance = provenance
        self.group = kind.group(name)
        self._kind, self._name = kind, name
        kind.check_fresh(self.folder, name, provenance.made_from)
        self._rows_per_range, self._rows_per_batch = rows_per_range, rows_per_batch
        key = hashlib.sha256(f"{self.identity(provenance)} {rows_per_range}".encode()).hexdigest()[:16]
        # One hidden folder for each group. The key distinguishes ranges of another origin with the same name; the commit removes them.
        self._staging = self.folder.path / f".{self.group}"
        self._ranges = self._staging / key

    @abstractmethod
    def features(self) -> "Features":
        """The Hugging Face features of the group's columns."""

    def identity(self, provenance: Provenance) -> str:
        """A text that is equal for provenances of the same values."""
        return provenance.model_dump_json()

    def ranges(self) -> list[RowRange]:
        """All ranges of all splits, in row order; the same for any number of processes."""
        found = []
        for split in self.folder.splits:
            rows = self.folder.rows(split)
            size = self._rows_per_range or max(rows, 1)
            count = max(1, -(-rows // size))
            found += [
                RowRange(split, index, count, index * size, min(rows, (index + 1) * size)) for index in range(count)
            ]
        return found

    def missing(self) -> list[RowRange]:
        """The ranges that have not been written yet."""
        return [part for part in self.ranges() if not self._file(part).exists()]

    def is_committed(self) -> bool:
        """Whether the dataset already has this group, complete and of the same provenance."""
        try:
            stored = self._kind.described(open_dataset(self.folder.path), self._name)
        except (UnknownNameError, DataError):
            return False
        return self.identity(self.provenance) == self.identity(stored) and self._is_readable()

    def write_table(self, part: RowRange, table: pa.Table) -> None:
        """Writes the values of a range; atomic.

        Args:
            part: one of `ranges`.
            table: a row for each row of the range, with the columns of `features`.
        """
        write_shard(self._file(part), table, self.features(), self._rows_per_batch)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keeps other commands from writing a group of the same name.

        Raises:
            DataError: another process is writing it.
        """
        with exclusive(self._staging):
            yield

    def commit(self) -> DatasetFolder:
        """The dataset with the ranges as a column group; nothing changes if it already has the group with the same values.

        Raises:
            StaleGroupError: what the group is made from changed in the meantime.
            DataError: a range is missing.
        """
        missing = self.missing()
        if missing:
            rows = sum(map(len, missing))
            raise DataError(f"{self._kind.called} '{self._name}' lack {rows:,} rows; run the same command again")
        with exclusive(self.folder.path):
            manifest = open_dataset(self.folder.path).manifest
            settle_groups(self.folder.path, manifest)
            self._kind.check_fresh(open_dataset(self.folder.path), self._name, self.provenance.made_from)
            written = {split: content_hash(self._table(split), seed=self.group) for split in self.folder.splits}
            stored = {split: manifest.groups[split].get(self.group) for split in self.folder.splits}
            if written != stored or not self.is_committed():
                self._stage(written)
                for split, fingerprint in written.items():
                    manifest.groups[split][self.group] = fingerprint
                manifest.provenance[self.group] = self.provenance.model_dump(mode="json")
                write_manifest(self.folder.path, manifest)
                settle_groups(self.folder.path, manifest)
        self.discard()
        return open_dataset(self.folder.path)

    def discard(self) -> None:
        """Removes written ranges that were not committed, including those of another origin with this name."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def _file(self, part: RowRange) -> Path:
        return self._ranges / part.split / shard_name(part.index, part.count)

    def _table(self, split: str) -> pa.Table:
        files = [self._file(part) for part in self.ranges() if part.split == split]
        return pa.concat_tables(pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files)

    def _stage(self, fingerprints: Mapping[str, str]) -> None:
        features = self.features()
        for split, fingerprint in fingerprints.items():
            staged = staged_group(self.folder.path / split / self.group)
            staged.mkdir()
            files = [self._file(part) for part in self.ranges() if part.split == split]
            for file in files:
                # Linked, not moved: a moved range would be lost if a kill came before the manifest names the group.
                link_file(file, staged / file.name)
            seal_group(staged, [file.name for file in files], features, fingerprint, split)

    def _is_readable(self) -> bool:
        folder = open_dataset(self.folder.path)
        try:
            for split in folder.splits:
                folder.load(split, [self.group])
        except (NotADatasetError, UnknownNameError):
            return False
        return True
