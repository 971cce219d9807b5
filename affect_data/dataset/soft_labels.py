"""Soft labels: a teacher's logits for every row, written back as a column group.

Logits are stored, not probabilities: the student chooses temperature and mixture. They are bound to the dataset by its fingerprint, and to the
teacher's heads by name: action units by number, expressions by class name.

They are written range by range, by any number of processes. Each range is one Arrow file in a hidden folder of the dataset; once all exist, they are
linked into the column group without a copy. A range that exists after a kill is not made again.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder, open_dataset, staged_group
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.writing import seal_group, settle_groups, shard_name, write_manifest, write_shard
from affect_data.errors import DataError, NotADatasetError, UnknownNameError
from affect_data.files import exclusive, link_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from datasets import Features

ROWS_PER_BATCH: Final = 16_384


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of a split, whose logits are one file.

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


class SoftLabelWriter:
    """Writes soft labels range by range, and makes them a column group once all ranges exist.

    Several processes may write different ranges of the same group at once; one of them, inside `owned`, commits.

    Args:
        path: dataset folder.
        provenance: what the columns mean and where they come from.
        rows_per_range: rows of a file; None: one file for each split.

    Raises:
        StaleGroupError: the provenance names another dataset.
        DataError: the teacher has no head.
    """

    def __init__(self, path: Path | str, provenance: SoftLabelProvenance, rows_per_range: int | None = None) -> None:
        self.folder = open_dataset(path)
        self.provenance = provenance
        self.group = SOFT_LABELS.group(provenance.name)
        SOFT_LABELS.check_fresh(self.folder, provenance.name, provenance.made_from)
        if not provenance.widths():
            raise DataError(f"soft labels '{provenance.name}' have no head; the teacher predicts nothing")
        self._rows_per_range = rows_per_range
        origin = provenance.model_copy(update={"created": ""}).model_dump_json()
        key = hashlib.sha256(f"{origin} {rows_per_range}".encode()).hexdigest()[:16]
        # One hidden folder for each group. The key distinguishes ranges of another teacher with the same name; the commit removes them.
        self._staging = self.folder.path / f".{self.group}"
        self._ranges = self._staging / key

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
        """Whether the dataset already has this group, complete and from the same teacher."""
        try:
            stored = SOFT_LABELS.described(open_dataset(self.folder.path), self.provenance.name)
        except (UnknownNameError, DataError):
            return False
        return self.provenance.describes_same(stored) and self._is_readable()

    def write(self, part: RowRange, logits: Mapping[str, "npt.NDArray[np.float16]"]) -> None:
        """Writes the logits of a range; atomic.

        Args:
            part: one of `ranges`.
            logits: by head of `HEADS`, float16 [rows of the range, width].

        Raises:
            DataError: a head is missing, a shape does not fit, or a logit is not finite.
        """
        columns = {
            SOFT_LABELS.column(self.provenance.name, head): _logits(logits, head, width, part)
            for head, width in self.provenance.widths().items()
        }
        write_shard(self._file(part), pa.table(columns), self._features(), ROWS_PER_BATCH)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keeps other commands from writing a group of the same name.

        Raises:
            DataError: another process is writing it.
        """
        with exclusive(self._staging):
            yield

    def commit(self) -> DatasetFolder:
        """The dataset with the ranges as a column group; nothing changes if it already has the group with the same logits.

        Raises:
            StaleGroupError: pictures changed in the meantime.
            DataError: a range is missing.
        """
        missing = self.missing()
        if missing:
            rows = sum(map(len, missing))
            raise DataError(f"soft labels '{self.provenance.name}' lack {rows:,} rows; run the same command again")
        with exclusive(self.folder.path):
            manifest = open_dataset(self.folder.path).manifest
            settle_groups(self.folder.path, manifest)
            SOFT_LABELS.check_fresh(open_dataset(self.folder.path), self.provenance.name, self.provenance.made_from)
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
        """Removes written ranges that were not committed, including those of other teachers with this name."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def _file(self, part: RowRange) -> Path:
        return self._ranges / part.split / shard_name(part.index, part.count)

    def _features(self) -> "Features":
        from datasets import Features, List, Value

        widths = self.provenance.widths().items()
        return Features(
            {
                SOFT_LABELS.column(self.provenance.name, head): List(Value("float16"), length=width)
                for head, width in widths
            }
        )

    def _table(self, split: str) -> pa.Table:
        files = [self._file(part) for part in self.ranges() if part.split == split]
        return pa.concat_tables(pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files)

    def _stage(self, fingerprints: Mapping[str, str]) -> None:
        features = self._features()
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


def write_soft_labels(
    path: Path | str, provenance: SoftLabelProvenance, logits: Mapping[str, Mapping[str, "npt.NDArray[np.float16]"]]
) -> DatasetFolder:
    """Writes a teacher's logits beside a dataset's rows; writing the same again changes nothing.

    Args:
        path: dataset folder.
        provenance: what the columns mean and where they come from.
        logits: for every split, by every head of the teacher (`HEADS`): float16 [rows, width] in the row order of the split.

    Returns:
        The dataset with the group.

    Raises:
        StaleGroupError: the provenance names another dataset.
        DataError: a split or head is missing, a shape does not fit, or a logit is not finite.
    """
    folder = open_dataset(path)
    if not SOFT_LABELS.changed(folder, provenance.made_from) and set(logits) != set(folder.splits):
        raise DataError(
            f"soft labels '{provenance.name}' cover the splits {sorted(logits)}, the dataset has {sorted(folder.splits)}"
        )
    writer = SoftLabelWriter(path, provenance)
    with writer.owned():
        try:
            for part in writer.ranges():
                writer.write(part, logits[part.split])
            return writer.commit()
        finally:
            # The key does not cover arrays in memory, so a later call must not find ranges of this one.
            writer.discard()


def _logits(heads: Mapping[str, Any], head: str, width: int, part: RowRange) -> pa.Array:
    import numpy as np

    if head not in heads:
        raise DataError(f"soft labels of split '{part.split}' lack the head '{head}'")
    values = np.ascontiguousarray(heads[head], dtype=np.float16)
    if values.shape != (len(part), width):
        raise DataError(
            f"soft labels '{head}' of split '{part.split}' have shape {list(values.shape)}, expected {[len(part), width]}"
        )
    # Infinity and NaN have the largest exponent; comparing its bits takes a tenth of the time of isfinite.
    if values.size and int((values.view(np.uint16) & 0x7C00).max()) == 0x7C00:
        row = part.start + int(np.argwhere(~np.isfinite(values))[0, 0])
        raise DataError(
            f"soft labels '{head}' of split '{part.split}': row {row} has a logit that is no finite float16; the teacher diverged"
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width)
