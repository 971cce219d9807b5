"""Soft labels: a teacher's logits for every row, written back as a column group.

Logits are stored, not probabilities: the student chooses temperature and mixture. They are bound to the dataset by its fingerprint, and to the
teacher's heads by name: action units by number, expressions by class name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.ranges import RangeWriter, RowRange
from affect_data.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from datasets import Features


class SoftLabelWriter(RangeWriter[SoftLabelProvenance]):
    """Writes soft labels range by range, and makes them a column group once all ranges exist.

    Args:
        path: dataset folder.
        provenance: what the columns mean and where they come from.
        rows_per_range: rows of a file; None: one file for each split.

    Raises:
        StaleGroupError: the provenance names another dataset.
        DataError: the teacher has no head.
    """

    def __init__(self, path: Path | str, provenance: SoftLabelProvenance, rows_per_range: int | None = None) -> None:
        super().__init__(path, SOFT_LABELS, provenance.name, provenance, rows_per_range)
        if not provenance.widths():
            raise DataError(f"soft labels '{provenance.name}' have no head; the teacher predicts nothing")

    def identity(self, provenance: SoftLabelProvenance) -> str:
        """The provenance without its time."""
        return provenance.model_copy(update={"created": ""}).model_dump_json()

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
        self.write_table(part, pa.table(columns))

    def features(self) -> "Features":
        """A list of float16 for each head."""
        from datasets import Features, List, Value

        widths = self.provenance.widths().items()
        return Features(
            {
                SOFT_LABELS.column(self.provenance.name, head): List(Value("float16"), length=width)
                for head, width in widths
            }
        )


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
