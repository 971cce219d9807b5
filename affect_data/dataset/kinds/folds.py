"""Folds as a column group: the fold of every row, -1 for none."""

from typing import Final

from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance


class FoldProvenance(GroupProvenance):
    """How rows were divided into folds.

    Attributes:
        method: ``greedy, stratified``, or ``literature`` for the published folds of a database.
        rows: number of rows by fold, as text; ``-1``: rows in no fold.
        folds: how many there are.
        seed: decided among equals.
        splits: whose rows were divided.
        disjoint_by: what no two folds share.
        kept_apart: number of rows of these splits that are in no fold, because their people are in another split too.
        database: whose published folds they are.
        parts: their published names, in the order of the folds.
    """

    method: str
    rows: dict[str, int]
    folds: int | None = None
    seed: int | None = None
    splits: tuple[str, ...] | None = None
    disjoint_by: tuple[str, ...] | None = None
    kept_apart: int | None = None
    database: str | None = None
    parts: tuple[str, ...] | None = None


FOLDS: Final = GroupKind(
    called="folds",
    prefix="folds.",
    # They stay valid when labels are corrected: labels only stratify them, while people and copies of pictures keep them disjoint.
    depends_on={Dependency.PEOPLE, Dependency.PICTURES},
    provenance=FoldProvenance,
    command="affect-data folds DATASET --name {name}",
)
