"""Labels and soft labels of a split as compact arrays, in the order of a model's heads; batches are gathered from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.schema import LABELS, MISSING_CLASS
from affect_data.vocabulary import ACTION_UNITS, CLIP_SCOPE, LABEL_SCOPES, unit_name
from affect_train.errors import ModelMismatchError
from affect_train.inputs.batch import AffectBatch, FaceBatch, SoftTargets
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

    from affect_data.dataset.folder import DatasetFolder

TASKS = ("au", "expression", "va")
"""The tasks, in the order of the columns of `LabelArrays.taught`."""

SHARED_CLASSES = 2
"""The fewest classes that a student and its teachers must share."""


def column_array(dataset: "Dataset | pa.Table", name: str, columns: Sequence[int] | None = None) -> NDArray[Any]:
    """A whole column as an array: [rows], or [rows, slots] for lists and for action units by name.

    A column of numbers in one piece becomes a view of the memory map.

    Args:
        dataset: the split, without an index mapping, or a table of its rows.
        name: of the column, which has no nulls.
        columns: slots of the vocabulary to keep; None keeps all.
    """
    if name not in dataset.column_names and name in ("au", "au_mask"):
        return _no_action_units(name, len(dataset), len(ACTION_UNITS) if columns is None else len(columns))
    table = dataset if isinstance(dataset, pa.Table) else dataset.select_columns([name]).with_format("arrow")[:]
    chunks = table.column(name).chunks
    parts = []
    for chunk in chunks:
        if pa.types.is_struct(chunk.type):
            parts.append(_named_units(name, chunk, range(len(ACTION_UNITS)) if columns is None else columns))
            continue
        width = getattr(chunk.type, "list_size", None)
        values = chunk if width is None else chunk.flatten()
        part = values.to_numpy(zero_copy_only=False)
        part = part if width is None else part.reshape(-1, width)
        parts.append(part if columns is None else part[:, list(columns)])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _no_action_units(name: str, rows: int, slots: int) -> NDArray[Any]:
    return np.zeros((rows, slots), np.bool_) if name == "au_mask" else np.full((rows, slots), MISSING_CLASS, np.int8)


def _named_units(name: str, chunk: pa.StructArray, slots: Iterable[int]) -> NDArray[Any]:
    """Action units that a dataset stores by name, as an array [rows, slots] in the order of the slots."""
    names = [unit_name(ACTION_UNITS[slot]) for slot in slots]
    values = _no_action_units(name, len(chunk), len(names))
    for place, unit in enumerate(names):
        if chunk.type.get_field_index(unit) >= 0:
            values[:, place] = chunk.field(unit).to_numpy(zero_copy_only=False)
    return values


def text_codes(dataset: "Dataset", name: str) -> NDArray[np.int64]:
    """A number for every different text of a column within its database, int64 [rows], in order of appearance; -1 for an empty text.

    A column of numbers keeps them. The same rows get the same numbers from a dataset folder and from a published dataset.

    Args:
        dataset: the split, with the column ``database``.
        name: of the column, which has no nulls.
    """
    given = dataset.select_columns(["database", name]).with_format("arrow")[:].combine_chunks()
    column = given.column(name)
    if pa.types.is_integer(column.type):
        codes: NDArray[np.int64] = column.to_numpy().astype(np.int64)
        return codes
    known = np.flatnonzero(pc.not_equal(column, "").to_numpy())
    texts = pc.dictionary_encode(column).combine_chunks().indices.to_numpy()[known].astype(np.int64)
    keys = given.column("database").to_numpy()[known] * (texts.max(initial=0) + 1) + texts
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    found = np.full(len(column), -1, dtype=np.int64)
    found[known] = np.argsort(np.argsort(first))[place]
    return found


def clips_in(dataset: "Dataset") -> NDArray[np.bool_]:
    """Which rows are whole clips, bool [rows]."""
    if "label_scope" not in dataset.column_names:
        return np.zeros(len(dataset), dtype=np.bool_)
    found: NDArray[np.bool_] = column_array(dataset, "label_scope") == LABEL_SCOPES.index(CLIP_SCOPE)
    return found


def clip_rows(folder: "DatasetFolder", split: str) -> NDArray[np.int64]:
    """The rows of a split that are whole clips, int64, ascending."""
    if not folder.manifest.layout.clips:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(clips_in(folder.load(split, [LABELS])))


@dataclass(frozen=True)
class SoftLabelArrays:
    """One teacher's logits for every row, and the column for each output of the student's heads.

    Attributes:
        logits: float16 [rows, width] by head: au, expression, valence, arousal; heads that teacher or student lacks are absent.
        columns: int64 by head, the teacher's column for every output of the student's head; -1 where the teacher has none.
    """

    logits: Mapping[str, NDArray[np.float16]]
    columns: Mapping[str, NDArray[np.int64]]

    @classmethod
    def load(cls, dataset: "Dataset", tasks: TaskSet, provenance: SoftLabelProvenance) -> "SoftLabelArrays":
        """The soft labels of the group that the provenance describes.

        Raises:
            ModelMismatchError: fewer than two classes are shared, the bins differ, or there is no common head.
        """
        columns = _matching_columns(tasks, provenance)
        return cls(
            {head: column_array(dataset, SOFT_LABELS.column(provenance.name, head)) for head in columns}, columns
        )

    def targets(self, rows: NDArray[np.int64]) -> SoftTargets:
        """The logits of some rows, in the order of the student's heads."""
        gathered: dict[str, Tensor] = {}
        for head, columns in self.columns.items():
            values = torch.from_numpy(self.logits[head][rows].astype(np.float32)[:, np.maximum(columns, 0)])
            known = torch.from_numpy(columns >= 0)
            gathered[head] = values if bool(known.all()) else values * known
            if head == "au" or (head == "expression" and not bool(known.all())):
                gathered[f"{head}_mask"] = known
        return SoftTargets(**gathered)


def _matching_columns(tasks: TaskSet, provenance: SoftLabelProvenance) -> dict[str, NDArray[np.int64]]:
    what = f"soft labels '{provenance.name}'"
    columns: dict[str, NDArray[np.int64]] = {}
    units = {number: column for column, number in enumerate(provenance.action_units)}
    if set(units) & set(tasks.action_units):
        columns["au"] = np.array([units.get(number, -1) for number in tasks.action_units], dtype=np.int64)
    if provenance.expressions and tasks.expressions:
        classes = {name: column for column, name in enumerate(provenance.expressions)}
        columns["expression"] = np.array([classes.get(name, -1) for name in tasks.expressions], dtype=np.int64)
    if provenance.valence_arousal_bins and tasks.valence_arousal_bins:
        if provenance.valence_arousal_bins != tasks.valence_arousal_bins:
            raise ModelMismatchError(
                f"{what}, valence and arousal bins",
                str(provenance.valence_arousal_bins),
                str(tasks.valence_arousal_bins),
                "set `tasks.valence_arousal.bins` to the teacher's",
            )
        columns["valence"] = columns["arousal"] = np.arange(tasks.valence_arousal_bins)
    if not columns:
        raise ModelMismatchError(
            what,
            "no head that the student has",
            f"one of {', '.join(tasks.names)}",
            "name another teacher in `soft_labels`",
        )
    return columns


def check_shared_classes(tasks: TaskSet, teachers: Sequence[SoftLabelProvenance]) -> None:
    """Refuses teachers that share fewer than two expressions with the student: over one class, every distribution is the same.

    Raises:
        ModelMismatchError: fewer than two expressions are shared by the student and all its teachers of expressions.
    """
    sets = [teacher.expressions for teacher in teachers if teacher.expressions]
    if tasks.expressions and sets and len(set(tasks.expressions).intersection(*sets)) < SHARED_CLASSES:
        raise ModelMismatchError(
            f"soft labels {', '.join(repr(teacher.name) for teacher in teachers if teacher.expressions)}, expression classes",
            " and ".join(f"({', '.join(names)})" for names in sets),
            f"two classes at least that all of them share with the student: {', '.join(tasks.expressions)}",
            "name other classes under `tasks.expression`, or another teacher in `soft_labels`",
        )


@dataclass(frozen=True)
class LabelArrays:
    """All labels of a split, in the order of a model's heads.

    Attributes:
        au: int8 [rows, A], 0 or 1, -1 where missing.
        au_mask: bool [rows, A].
        expression: int64 [rows], the head's class; -1 where missing or where the head lacks the class.
        expression_mask: bool [rows].
        valence: float32 [rows], 0 where missing.
        arousal: float32 [rows], 0 where missing.
        va_mask: bool [rows].
        soft: teachers' logits by group name.
        taught: bool [pools, 3], whether rows from a pool teach each of `TASKS`; None: every row teaches all its labels.
    """

    au: NDArray[np.int8]
    au_mask: NDArray[np.bool_]
    expression: NDArray[np.int64]
    expression_mask: NDArray[np.bool_]
    valence: NDArray[np.float32]
    arousal: NDArray[np.float32]
    va_mask: NDArray[np.bool_]
    soft: Mapping[str, SoftLabelArrays]
    taught: NDArray[np.bool_] | None = None
    databases: NDArray[np.int64] | None = None

    @classmethod
    def load(
        cls, dataset: "Dataset | pa.Table", tasks: TaskSet, teachers: Sequence[SoftLabelProvenance] = ()
    ) -> "LabelArrays":
        """The labels of a joined dataset.

        Args:
            dataset: one split, or a table of its rows, with the soft labels of the teachers.
            tasks: the heads.
            teachers: provenance of each teacher's columns.

        Raises:
            ModelMismatchError: a teacher does not fit the heads.
        """
        check_shared_classes(tasks, teachers)
        slots = tasks.au_slots()
        named = tasks.expression_lookup().numpy()[column_array(dataset, "expression")]
        va_mask = column_array(dataset, "va_mask")
        return cls(
            au=column_array(dataset, "au", slots),
            au_mask=column_array(dataset, "au_mask", slots),
            expression=named,
            expression_mask=column_array(dataset, "expression_mask") & (named >= 0),
            valence=np.where(va_mask, column_array(dataset, "valence"), np.float32(0)),
            arousal=np.where(va_mask, column_array(dataset, "arousal"), np.float32(0)),
            va_mask=va_mask,
            soft={teacher.name: SoftLabelArrays.load(dataset, tasks, teacher) for teacher in teachers},
        )

    def __len__(self) -> int:
        return len(self.expression)

    def pools(self, tasks: TaskSet) -> dict[str, NDArray[np.int64]]:
        """The numbers of the rows that have a label, int64, by task of the heads."""
        labelled = {"au": self.au_mask.any(1), "expression": self.expression_mask, "va": self.va_mask}
        return {task: np.flatnonzero(labelled[task]) for task in tasks.names}

    def batch(self, faces: FaceBatch) -> AffectBatch:
        """The faces with their labels."""
        rows = faces.rows.numpy()
        au_mask, expression_mask, va_mask = self.au_mask[rows], self.expression_mask[rows], self.va_mask[rows]
        if self.taught is not None and faces.pools is not None:
            taught = self.taught[faces.pools.numpy()]
            au_mask, expression_mask, va_mask = (
                au_mask & taught[:, :1],
                expression_mask & taught[:, 1],
                va_mask & taught[:, 2],
            )
        return AffectBatch(
            inputs=faces.inputs,
            places=faces.places,
            counts=faces.counts,
            drawn=faces.drawn,
            uids=faces.uids,
            rows=faces.rows,
            au=torch.from_numpy(np.where(au_mask, self.au[rows], 0).astype(np.float32)),
            au_mask=torch.from_numpy(au_mask),
            expression=torch.from_numpy(np.where(expression_mask, self.expression[rows], -1)),
            expression_mask=torch.from_numpy(expression_mask),
            valence=torch.from_numpy(np.where(va_mask, self.valence[rows], np.float32(0))),
            arousal=torch.from_numpy(np.where(va_mask, self.arousal[rows], np.float32(0))),
            va_mask=torch.from_numpy(va_mask),
            soft={name: arrays.targets(rows) for name, arrays in self.soft.items()},
            databases=None if self.databases is None else torch.from_numpy(self.databases[rows]),
        )

    def numpy(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as `metrics.evaluate_predictions` takes them."""
        names = ("au", "au_mask", "expression", "expression_mask", "valence", "arousal", "va_mask")
        return {name: getattr(self, name) for name in names}


def load_folds(folder: "DatasetFolder", split: str, name: str) -> NDArray[Any]:
    """The fold of each row of a split, int8 [rows]; -1 for rows in no fold.

    Raises:
        UnknownNameError: the dataset has no folds of this name.
    """
    FOLDS.check_known(folder, name)
    group = FOLDS.group(name)
    return column_array(folder.load(split, [group]), group)


def check_labels(labels: LabelArrays, tasks: TaskSet, where: str) -> None:
    """Refuses a split that has nothing to evaluate.

    Args:
        labels: of the split.
        tasks: the heads.
        where: name of the split in messages.

    Raises:
        ModelMismatchError: no row has a label of any of the tasks.
    """
    if not any(len(rows) for rows in labels.pools(tasks).values()):
        raise ModelMismatchError(
            where,
            "no label of any task of the model",
            f"labels of {', '.join(tasks.names)}",
            "name another split or dataset (`affect-data stats` shows what there is)",
        )


def load_labels(
    folder: "DatasetFolder",
    split: str,
    tasks: TaskSet,
    soft_labels: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> tuple["Dataset", LabelArrays]:
    """One split of a dataset folder, its labels, pictures and named column groups joined, and its labels as arrays.

    Raises:
        UnknownNameError: the dataset has no such split or teacher.
        ModelMismatchError: a teacher does not fit the heads.
    """
    from affect_data.dataset.kinds.soft_labels import SOFT_LABELS

    teachers = [SOFT_LABELS.read(folder, name) for name in soft_labels]
    dataset = split_rows(folder, split, (*map(SOFT_LABELS.group, soft_labels), *groups))
    return dataset, LabelArrays.load(dataset, tasks, teachers)


def split_rows(folder: "DatasetFolder", split: str, groups: Sequence[str] = ()) -> "Dataset":
    """The rows of a split over memory maps: labels with their side groups, pictures, other groups, and a number for each subject and track.

    Raises:
        UnknownNameError: the dataset has no such split or group.
    """
    from datasets import Dataset, concatenate_datasets

    layout = folder.manifest.layout
    stored = folder.load(split, [*layout.groups, *layout.pictures, *groups])
    codes = pa.table({name: folder.codes(split, name).astype(np.int32) for name in ("subject", "track")})
    return concatenate_datasets([stored, Dataset(codes)], axis=1)
