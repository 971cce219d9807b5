"""Features of a split that a backbone computed before: shown in the place of its pictures, and where they come from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.schema import LABELS
from affect_data.errors import UnknownNameError
from affect_train.errors import ModelMismatchError
from affect_train.inputs.batch import FaceBatch, Pick, drawn_from
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.labels import column_array

if TYPE_CHECKING:
    from datasets import Dataset


class FeatureProvenance(BaseModel):
    """Where stored features come from.

    Attributes:
        name: of the features; their column and group are ``features.<name>``.
        model_id: name of the run or folder, or the Hub id.
        backbone_digest: sha256 of the backbone's weights.
        pooling: how positions became one vector.
        width: length of the vector.
        preprocessing: how a face became the backbone's input.
        preprocessing_hash: identifies it.
        normalisation: of the pixels; empty where a release wrote the features that did not say it.
        dataset_fingerprint: of the dataset.
        created: ISO time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    model_id: str
    backbone_digest: str
    pooling: str
    width: int
    preprocessing: dict[str, Any]
    preprocessing_hash: str
    normalisation: str = ""
    dataset_fingerprint: str
    created: str


def group_name(name: str) -> str:
    """The column group of stored features, and its one column."""
    return f"features.{name}"


def read_feature_provenance(folder: DatasetFolder, name: str) -> FeatureProvenance:
    """Where stored features come from.

    Raises:
        UnknownNameError: the dataset has no features of this name.
        ModelMismatchError: they were made for other rows.
    """
    known = [group.removeprefix("features.") for group in folder.manifest.provenance if group.startswith("features.")]
    if name not in known:
        raise UnknownNameError(f"features in '{folder.path}' (`affect-train features` writes them)", name, known)
    provenance = FeatureProvenance.model_validate(folder.manifest.provenance[group_name(name)])
    if provenance.dataset_fingerprint != folder.fingerprint:
        raise ModelMismatchError(
            f"features '{name}'",
            f"dataset fingerprint {provenance.dataset_fingerprint}",
            folder.fingerprint,
            "its rows or labels changed: run `affect-train features` again",
        )
    return provenance


class FeatureArray(IndexedInputs):
    """Features of a split.

    Args:
        values: float16 [rows, D].
        uids: of the rows.
    """

    def __init__(self, values: NDArray[np.float16], uids: pa.Array | pa.ChunkedArray) -> None:
        self._values = values
        self._uids = uids

    def __len__(self) -> int:
        return len(self._values)

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch:
        """The features of the picked rows, as `take` gives them."""
        faces = self.take(np.array([pick.row for pick in picks], dtype=np.int64))
        return faces._replace(pools=drawn_from(picks))

    def take(self, rows: NDArray[np.int64]) -> FaceBatch:
        """The features of some rows, float32 [N, D]."""
        # Torch widens half precision several times as fast as NumPy.
        values = torch.from_numpy(self._values[rows]).float()
        return FaceBatch(torch.from_numpy(rows), self._uids.take(rows).to_pylist(), values)


class StoredFeatures(FeatureArray):
    """The stored features of a split.

    Args:
        dataset: one split, with the features' column.
        name: of the features.
    """

    def __init__(self, dataset: "Dataset", name: str) -> None:
        super().__init__(column_array(dataset, group_name(name)), uids_of(dataset))

    @classmethod
    def of(cls, folder: DatasetFolder, split: str, name: str) -> "StoredFeatures":
        """Those of a split of a dataset folder.

        Raises:
            UnknownNameError: it has no such split or features.
        """
        return cls(folder.load(split, [LABELS, group_name(name)]), name)


def uids_of(dataset: "Dataset") -> pa.ChunkedArray:
    """The unique names of the rows of a split."""
    return dataset.select_columns(["uid"]).with_format("arrow")[:].column(0)
