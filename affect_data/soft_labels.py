"""Soft labels: a teacher's logits for every row, written back as a column group of their own.

Logits are stored, not probabilities: the student chooses temperature and mixture. They are bound to the dataset by its fingerprint, and to the
teacher's heads by name: action units by number, expressions by class name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from affect_data.errors import DataError, UnknownNameError
from affect_data.store import DatasetFolder, add_group, open_dataset

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HEADS: Final = ("au", "expression", "valence", "arousal")


class SoftLabelProvenance(BaseModel):
    """Where a group of soft labels comes from, and what its columns mean.

    Attributes:
        name: of the group; its columns are ``soft.<name>.<head>``.
        teacher_id: the model: a run, a folder's name or a Hub id; never an absolute path.
        teacher_revision: hash of the weights, or the Hub's revision.
        dataset_fingerprint: of the dataset that was labelled.
        view: how the teacher saw the picture, for example ``centre crop, margin 0.2, 112 px``.
        out_of_fold: whether no row was labelled by a teacher that had seen it.
        action_units: numbers, in the order of the column ``au``; empty where the teacher has none.
        expressions: class names, in the order of the column ``expression``.
        valence_arousal_bins: number of equal bins over [-1, 1] in ``valence`` and ``arousal``; 0 where the teacher has none.
        created: ISO time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    teacher_id: str
    teacher_revision: str
    dataset_fingerprint: str
    view: str
    out_of_fold: bool = False
    action_units: tuple[int, ...] = ()
    expressions: tuple[str, ...] = ()
    valence_arousal_bins: int = 0
    created: str = ""

    def widths(self) -> dict[str, int]:
        """Number of logits by head, without the heads that the teacher lacks."""
        widths = (len(self.action_units), len(self.expressions), self.valence_arousal_bins, self.valence_arousal_bins)
        return {head: width for head, width in zip(HEADS, widths, strict=True) if width}


class StaleSoftLabelsError(DataError):
    """Soft labels of another dataset than the one at hand."""

    def __init__(self, name: str, found: str, expected: str) -> None:
        super().__init__(
            f"soft labels '{name}' were made for the dataset with fingerprint {found}, this one has {expected}: its rows or labels changed. "
            f"Label it again: `affect-train label RUN DATASET --name {name}`"
        )


def group_name(name: str) -> str:
    """The column group of a teacher's soft labels."""
    return f"soft.{name}"


def write_soft_labels(
    path: Path | str, provenance: SoftLabelProvenance, logits: Mapping[str, Mapping[str, "npt.NDArray[np.float16]"]]
) -> DatasetFolder:
    """Writes a teacher's logits beside a dataset's rows; writing the same again changes nothing.

    Args:
        path: dataset folder.
        provenance: what the columns mean and where they come from.
        logits: by split, then by head of `HEADS`: float16 arrays [rows, width] in the row order of the split. Every split, every head of the teacher.

    Returns:
        The dataset with the group.

    Raises:
        StaleSoftLabelsError: the provenance names another dataset.
        DataError: a split or head is missing, a shape does not fit, or a logit is not finite.
    """
    folder = open_dataset(path)
    if provenance.dataset_fingerprint != folder.fingerprint:
        raise StaleSoftLabelsError(provenance.name, provenance.dataset_fingerprint, folder.fingerprint)
    if set(logits) != set(folder.splits):
        raise DataError(
            f"soft labels '{provenance.name}' cover the splits {sorted(logits)}, the dataset has {sorted(folder.splits)}"
        )
    if not provenance.widths():
        raise DataError(f"soft labels '{provenance.name}' have no head; the teacher predicts nothing")
    from datasets import Features, List, Value

    columns = {f"{group_name(provenance.name)}.{head}": (head, width) for head, width in provenance.widths().items()}
    features = Features({column: List(Value("float16"), length=width) for column, (_, width) in columns.items()})
    tables = [
        (
            split,
            pa.table(
                {
                    column: _logits(logits[split], head, (folder.rows(split), width), split)
                    for column, (head, width) in columns.items()
                }
            ),
        )
        for split in folder.splits
    ]
    return add_group(folder, group_name(provenance.name), tables, features, provenance.model_dump(mode="json"))


def _logits(heads: Mapping[str, Any], head: str, shape: tuple[int, int], split: str) -> pa.Array:
    import numpy as np

    if head not in heads:
        raise DataError(f"soft labels of split '{split}' lack the head '{head}'")
    values = np.ascontiguousarray(heads[head], dtype=np.float16)
    if values.shape != shape:
        raise DataError(
            f"soft labels '{head}' of split '{split}' have shape {list(values.shape)}, expected {list(shape)}"
        )
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise DataError(
            f"soft labels '{head}' of split '{split}': row {row} has a logit that is no finite float16; the teacher diverged"
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), shape[1])


def read_provenance(path: Path | str, name: str) -> SoftLabelProvenance:
    """Where the soft labels of a teacher come from.

    Raises:
        UnknownNameError: the dataset has no soft labels of this name.
        StaleSoftLabelsError: they were made for other rows or labels.
    """
    folder = open_dataset(path)
    known = [group.removeprefix("soft.") for group in folder.manifest.provenance if group.startswith("soft.")]
    if name not in known:
        raise UnknownNameError(f"teacher in '{path}'", name, known)
    provenance = SoftLabelProvenance.model_validate(folder.manifest.provenance[group_name(name)])
    if provenance.dataset_fingerprint != folder.fingerprint:
        raise StaleSoftLabelsError(name, provenance.dataset_fingerprint, folder.fingerprint)
    return provenance
