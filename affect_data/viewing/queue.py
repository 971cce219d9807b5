"""What a review goes through: the faces with findings, most serious first, or rows that somebody has named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import numpy as np

from affect_data.audit.registry import audit_named
from affect_data.bounds import read_lines_file
from affect_data.errors import DataError, UsageError
from affect_data.viewing.engine import Engine
from affect_data.viewing.filters import ANY, view_of
from affect_data.viewing.table import LISTED, LabelTable


@dataclass(frozen=True)
class Queue:
    """The faces of a review, as a view.

    Attributes:
        address: its filters and order, as they stand in the page's address.
        skipped: uids that were named and that the dataset does not have.
    """

    address: str
    skipped: int = 0

    def progress(self, engine: Engine) -> tuple[int, int]:
        """How many faces there are, and about how many something is decided."""
        rows = engine.rows(view_of(parse_qsl(self.address)))
        return len(rows), int(np.count_nonzero(engine.states().to_numpy()[rows]))


def review_queue(table: LabelTable, checks: Sequence[str] = ()) -> Queue:
    """The faces that audits doubt, most serious first.

    Args:
        table: the labels.
        checks: names of audits; empty: all.

    Raises:
        UnknownNameError: there is no such audit.
        DataError: the dataset was not audited, or has changed since; the message names the command.
    """
    names = [audit_named(name).name for name in checks] or [ANY]
    if table.not_audited:
        raise DataError(table.not_audited)
    return Queue(urlencode([*(("finding", name) for name in names), ("sort", "severity")]))


def named_queue(table: LabelTable, uids: Sequence[str]) -> Queue:
    """The rows of a table that has the column `LISTED`, in the order in which they were named.

    Args:
        table: the labels.
        uids: that were named.
    """
    found = len(table.frame) - table.frame[LISTED].null_count()
    return Queue(urlencode([("rows", LISTED), ("sort", LISTED)]), len(set(uids)) - found)


def read_uids(path: Path) -> list[str]:
    """The uids in a text file with one on each line.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    try:
        uids = [
            line.strip()
            for line in read_lines_file(path, f"--uids {path}").decode("utf-8").splitlines()
            if line.strip()
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--uids {path}: cannot be read as text ({error})") from None
    if not uids:
        raise UsageError(f"--uids {path}: the file names no uid; write one a line")
    return uids
