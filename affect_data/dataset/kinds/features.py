"""A backbone's features as a column group: one vector for each row."""

from typing import Any, Final

from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance


class FeatureProvenance(GroupProvenance):
    """Where stored features come from.

    Attributes:
        name: of the features; their column and group are ``features.<name>``.
        model_id: name of the run or folder, or the Hub id.
        backbone_digest: sha256 of the backbone's weights.
        pooling: how positions became one vector.
        width: length of the vector.
        preprocessing: how a face became the backbone's input.
        preprocessing_hash: identifies it.
        clip_frames: how many frames of a clip were shown, whose mean is the row's vector; None if the dataset has no clips.
        normalisation: of the pixels; empty if an older release wrote the features, which did not record it.
        created: ISO time.
    """

    name: str
    model_id: str
    backbone_digest: str
    pooling: str
    width: int
    preprocessing: dict[str, Any]
    preprocessing_hash: str
    clip_frames: int | None = None
    normalisation: str = ""
    created: str


FEATURES: Final = GroupKind(
    called="features",
    prefix="features.",
    depends_on={Dependency.PICTURES},
    provenance=FeatureProvenance,
    command="affect-train features MODEL DATASET --name {name}",
)
