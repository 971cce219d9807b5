"""Folds as a column group: the fold of every row, -1 where it is in none."""

from typing import Final

from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance


class FoldProvenance(GroupProvenance):
    """How rows were dealt out into folds.

    Attributes:
        method: ``greedy, stratified``, or ``literature`` for the published folds of a database.
        rows: number of rows by fold, as text; ``-1`` are those in none.
        folds: how many there are.
        seed: what decided among equals.
        splits: whose rows were dealt out.
        disjoint_by: what no two folds share.
        kept_apart: rows of these splits that are in no fold, because their people are in another split too.
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
    # Corrected labels leave them valid: they are stratified by labels, but parted by people and copies of pictures.
    depends_on={Dependency.PEOPLE, Dependency.PICTURES},
    provenance=FoldProvenance,
    command="affect-data folds DATASET --name {name}",
)
