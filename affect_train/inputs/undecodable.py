"""Training rows whose pictures cannot be decoded: noted, and within a limit left out for others."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from affect_data.errors import DataError

ONE_IN = 1000
"""Of so many rows that an epoch shows one may be undecodable; one may be in any case."""

TRIES = 100
"""Rows that are tried in the place of one; more broken ones in a row are no accident."""


class SkippedRow(NamedTuple):
    """A row that was left out.

    Attributes:
        epoch: 0-based, in which it was to come.
        uid: its unique name.
        because: why its picture cannot be decoded.
    """

    epoch: int
    uid: str
    because: str


class SkippedRows:
    """The rows that a process left out, and how many it may. A copy in another process begins without any."""

    def __init__(self) -> None:
        self.limit = 1
        self._because: dict[str, str] = {}
        self._of_epoch: dict[int, set[str]] = {}
        self._new: list[tuple[SkippedRow, bool]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**SkippedRows().__dict__, "limit": self.limit}

    def __len__(self) -> int:
        return len(self._because)

    def allow_for(self, shown: int) -> None:
        """Sets the limit for epochs in which this process is shown so many rows."""
        self.limit = max(1, shown // ONE_IN)

    def restore(self, rows: Iterable[SkippedRow]) -> None:
        """Takes in the rows that a run left out before it was resumed."""
        for row in rows:
            self._note(row)

    def add(self, row: SkippedRow) -> None:
        """Notes a row.

        Raises:
            DataError: more different rows than the limit were left out in its epoch; names them.
        """
        self._new.append((row, self._note(row)))
        lost = self._of_epoch[row.epoch]
        if len(lost) > self.limit:
            listed = "".join(f"\n  row {uid}: {self._because[uid]}" for uid in sorted(lost))
            raise DataError(
                f"{len(lost):,} rows of epoch {row.epoch} cannot be decoded, and `batches.undecodable: skip` leaves out {self.limit:,} at most: "
                f"one in {ONE_IN:,} of those that a process is shown, or one. Mend these, or leave them out of the dataset:{listed}"
            )

    def take_new(self) -> list[tuple[SkippedRow, bool]]:
        """The rows since the last time, in order, and whether each was left out for the first time."""
        found, self._new = self._new, []
        return found

    def _note(self, row: SkippedRow) -> bool:
        first = row.uid not in self._because
        self._because.setdefault(row.uid, row.because)
        self._of_epoch.setdefault(row.epoch, set()).add(row.uid)
        return first
