"""What a release is known to hold, so that an incomplete copy is noticed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from affect_data.errors import DataError

DRAWN_MARKER: Final = "DEMO"
"""A file with this name in a database's folder says that its faces are drawn and belong to nobody."""


@dataclass(frozen=True)
class Totals:
    """What a complete copy holds.

    Attributes:
        counts: the least number of each thing that `DatabaseRoot.count` counts. Things that a reader does not count, because the recipe does not ask
            for them, are not compared.
        source: where the numbers come from.
        missing_pictures: how many pictures even a complete copy lacks; None if that is not known.
        losses: parts that even a complete copy lacks, in the words of `DatabaseRoot.lose`.
    """

    counts: Mapping[str, int]
    source: str
    missing_pictures: int | None = None
    losses: tuple[str, ...] = ()


def write_drawn_totals(root: Path, sentence: str, totals: Totals) -> None:
    """Writes the file that says that faces are drawn, and how many there are."""
    stated = {
        "counts": dict(totals.counts),
        "missing_pictures": totals.missing_pictures,
        "losses": list(totals.losses),
    }
    (root / DRAWN_MARKER).write_text(f"{sentence}\n{json.dumps(stated)}\n", encoding="utf-8")


def drawn_totals(root: Path) -> Totals | None:
    """The totals that a drawn database states (without counts if its file has none); None if the faces are not drawn.

    Raises:
        DataError: the file is damaged.
    """
    marker = root / DRAWN_MARKER
    if not marker.is_file():
        return None
    try:
        stated = marker.read_text(encoding="utf-8").partition("\n")[2].strip()
        if not stated:
            return Totals({}, DRAWN_MARKER)
        values = json.loads(stated)
        return Totals(values["counts"], DRAWN_MARKER, values["missing_pictures"], tuple(values["losses"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{marker}' does not say what was drawn ({error}): draw the demo databases again, or restore the file"
        ) from error
