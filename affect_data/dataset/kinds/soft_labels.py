"""Soft labels as a column group: a teacher's logits for every row."""

from typing import Final

from pydantic import Field

from affect_data.dataset.kinds.base import NAME, Dependency, GroupKind, GroupProvenance

HEADS: Final = ("au", "expression", "valence", "arousal")


class SoftLabelProvenance(GroupProvenance):
    """Where a group of soft labels comes from, and what its columns mean.

    Attributes:
        name: of the group; its columns are ``soft.<name>.<head>``.
        teacher_id: the model: a run, a folder's name or a Hub id; never an absolute path.
        teacher_revision: hash of the weights, or the Hub's revision.
        view: how the teacher saw the picture, for example ``centre crop, margin 0.2, 112 px``.
        out_of_fold: whether no row was labelled by a teacher that had seen it.
        action_units: numbers, in the order of the column ``au``; empty if the teacher has no such head.
        expressions: class names, in the order of the column ``expression``.
        valence_arousal_bins: number of equal bins over [-1, 1] in ``valence`` and ``arousal``; 0 if the teacher has no such heads.
        created: ISO time of the first writing of these logits.
    """

    name: str = Field(pattern=rf"^{NAME}$")
    teacher_id: str
    teacher_revision: str
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


SOFT_LABELS: Final = GroupKind(
    called="soft labels",
    prefix="soft.",
    depends_on={Dependency.PICTURES},
    provenance=SoftLabelProvenance,
    command="affect-train label RUN DATASET --name {name}",
)
