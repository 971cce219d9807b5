"""Crops as a column group: the face of every row, cut out by a named policy."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance

if TYPE_CHECKING:
    # Loader processes import this module, and need no polars, which the folder's brings.
    from affect_data.dataset.folder import DatasetFolder


class CropProvenance(GroupProvenance):
    """Where stored crops come from.

    Attributes:
        name: of the policy; the group and its column of pictures are ``crops.<name>``.
        policy: all that decides the pixels, from `CropPolicy.to_dict`.
        policy_digest: identifies it.
        faces: identifies the faces that were cut out, by what found them: detector, version, weights and rule.
    """

    name: str
    policy: dict[str, Any]
    policy_digest: str
    faces: str


CROPS: Final = GroupKind(
    called="crops",
    prefix="crops.",
    depends_on={Dependency.PICTURES},
    provenance=CropProvenance,
    command="affect-data align DATASET --crops {name}",
    kept_in="they are pictures of faces; `affect-data align` cuts them again",
    # Names of policies have points: loose-1.3.
    pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[0-9]+)?",
)

CROPPED: Final = "cropped"
"""Part of the name of the column that says whether a row shows a crop of a found face, or the policy's fallback."""


def uncropped_rows(folder: "DatasetFolder", name: str) -> dict[str, int]:
    """How many rows of stored crops show the policy's fallback instead of a found face, by database; none for databases without such rows.

    Args:
        folder: the dataset.
        name: of the policy.
    """
    group, counts = CROPS.group(name), dict[str, int]()
    for split in folder.splits:
        cropped = folder.load(split, [group]).data.column(CROPS.column(name, CROPPED)).to_numpy()
        codes = folder.stored_labels(split, ("database",)).column("database").to_numpy()
        for code, count in zip(*np.unique(codes[~cropped], return_counts=True), strict=True):
            database = folder.manifest.databases[int(code)]
            counts[database] = counts.get(database, 0) + int(count)
    return dict(sorted(counts.items()))
