"""Training rows whose pictures cannot be decoded: they are noted and, within a limit, replaced by others."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from affect_data.errors import DataError

ONE_IN = 1000
"""One in so many rows of an epoch may be undecodable, and at least one in all."""

TRIES = 100
"""How many rows are tried as a replacement; that many broken ones in sequence are no accident."""


class SkippedRow(NamedTuple):
    """A row that was left out.

    Attributes:
        epoch: of the row, 0-based.
        uid: unique name.
        because: why the picture cannot be decoded.
    """

    epoch: int
    uid: str
    because: str


class SkippedRows:
    """The rows that a process left out, and how many it may leave out. A copy in another process starts empty."""

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
        """Sets the limit for epochs of `shown` rows on this process."""
        self.limit = max(1, shown // ONE_IN)

    def restore(self, rows: Iterable[SkippedRow]) -> None:
        """Adds the rows that a run left out before it was resumed."""
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
