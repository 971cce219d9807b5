"""Decisions about rows, one by one or many at once, in a file that people share. Which rows, and how they are shown, is left to others."""

import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.corrections.decisions import Decision, DecisionFile, Field_, Labels, in_force
from affect_data.corrections.label_values import labels_of
from affect_data.dataset.folder import LABEL_NAMES, DatasetFolder, open_dataset
from affect_data.errors import DataError
from affect_data.viewing.filters import STATES
from affect_data.viewing.table import LabelTable

MOST_AT_ONCE: Final = 20_000
"""Rows that one decision may be about."""


class DecidedMeanwhileError(DataError):
    """Somebody else has decided about a face since the page showed it."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(f"{decision.who} has decided about this face meanwhile ({decision.action}); look at it again")


@dataclass(frozen=True)
class Wish:
    """What a person wants for some rows.

    Attributes:
        action: ``keep``, ``change`` or ``skip``.
        new: labels, for ``change``; labels that a row has already are left out of its decision.
        why: the person's note.
        reasons: what the rows are doubted for, by row; stands before the note.
    """

    action: str
    new: Labels = field(default_factory=Labels)
    why: str = ""
    reasons: Mapping[int, Sequence[str]] | None = None


@dataclass(frozen=True)
class Decided:
    """What became of a wish.

    Attributes:
        id: by which `Desk.undo` takes all of it back.
        rows: about which there is a decision now.
        unchanged: that have the wanted labels already.
        meanwhile: about which somebody else has decided since the page showed them; their decisions stay.
    """

    id: str
    rows: tuple[int, ...]
    unchanged: int = 0
    meanwhile: int = 0


class Desk:
    """Records decisions about the rows of a dataset; several threads may use it.

    Args:
        folder: the dataset.
        table: its rows.
        decisions: the file; it is read before and after every decision, so that people may share it.
        who: the person.
    """

    def __init__(self, folder: DatasetFolder, table: LabelTable, decisions: DecisionFile, who: str) -> None:
        self.folder, self.table, self.file, self.who = folder, table, decisions, who
        self.version = 0
        self._lock = threading.RLock()
        self._labels = {split: folder.stored_labels(split) for split in folder.splits}
        self._states = np.zeros(len(table), np.int8)
        self._decided: dict[tuple[str, str], list[Decision]] = {}
        self._by_id: dict[str, Decision] = {}
        self._taken_at: dict[str, int] = {}
        self._rows: dict[tuple[str, str], int] = {}
        self._actions: Counter[str] = Counter()
        self._take(decisions.decisions)

    def progress(self) -> dict[str, Any]:
        """How many decisions are in force, by action, and what is needed to name them."""
        with self._lock:
            self._refresh()
            actions = dict(sorted((+self._actions).items()))
        return {"actions": actions, "who": self.who, "file": self.file.path.name}

    def states(self) -> tuple[int, pl.Series]:
        """A number that changes with every decision, and the code of every row among `STATES`, int8 [rows]."""
        with self._lock:
            self._refresh()
            return self.version, pl.Series("decided", self._states.copy())

    def decision(self, row: int) -> Decision | None:
        """The decision in force about a row."""
        with self._lock:
            self._refresh()
            return self._latest(self._key(row))

    def seen_at(self, version: int, rows: Sequence[int]) -> dict[int, str]:
        """The ids of the decisions about some rows that were in force when `states` gave this number, by row."""
        with self._lock:
            latest = {row: self._latest(self._key(row)) for row in rows}
        return {row: made.id for row, made in latest.items() if made is not None and self._taken_at[made.id] <= version}

    def stored(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The columns of the schema of some rows, in their order; `database` is a code."""
        found: dict[int, dict[str, Any]] = {}
        by_split: dict[str, list[int]] = {}
        for row in rows:
            split, number = self.table.place(row)
            by_split.setdefault(split, []).append(number)
        for split, numbers in by_split.items():
            stored = pa.Table.from_batches(
                [batch for n in numbers for batch in self._labels[split].slice(n, 1).to_batches()]
            )
            columns = self.folder.view.table(stored, LABEL_NAMES).to_pylist()
            found |= {self.table.row(split, n): row for n, row in zip(numbers, columns, strict=True)}
        return [found[row] for row in rows]

    def decide(self, rows: Sequence[int], wish: Wish, seen: Mapping[int, str]) -> Decided:
        """Records one decision for each of some rows; an earlier decision about a row is taken back.

        Args:
            rows: at most `MOST_AT_ONCE`.
            wish: what is wanted of them.
            seen: by row, id of the decision that the page showed; "" for none.

        Raises:
            DecidedMeanwhileError: the decision in force about the only row is not the one that the page showed.
            DataError: there are too many rows, nothing differs, or the dataset's labels have changed meanwhile.
        """
        rows = list(dict.fromkeys(rows))
        if not 0 < len(rows) <= MOST_AT_ONCE or not all(0 <= row < len(self.table) for row in rows):
            raise DataError(f"{len(rows):,} rows were named; name between 1 and {MOST_AT_ONCE:,} rows of the dataset")
        with self._lock:
            self._refresh()
            if open_dataset(self.folder.path).fingerprint != self.folder.fingerprint:
                raise DataError(
                    "the labels have changed since this page was started: end it with Ctrl-C and start it again"
                )
            kept = [row for row in rows if self._is_as_seen(row, seen)]
            if not kept and len(rows) == 1:
                latest = self._latest(self._key(rows[0]))
                assert latest is not None
                raise DecidedMeanwhileError(latest)
            batch, made = uuid.uuid4().hex, list[int]()
            lines: list[Decision] = []
            for row, stored in zip(kept, self.stored(kept), strict=True):
                decision = self._decision(row, stored, wish, f"{batch}.{len(made)}" if len(rows) > 1 else batch)
                if decision is not None:
                    lines += [*self._taken_back(row, stored), decision]
                    made.append(row)
            if not made:
                raise DataError("no label differs; keep the labels instead")
            self._rows |= {self._key(row): row for row in made}
            self.file.append(lines)
            self._refresh()
            return Decided(batch, tuple(made), len(kept) - len(made), len(rows) - len(kept))

    def undo(self, decided: str) -> list[int]:
        """The rows whose decisions were taken back.

        Args:
            decided: id of a decision, or of many that were made at once.

        Raises:
            DataError: no decision in force has this id.
        """
        with self._lock:
            self._refresh()
            wanted = [
                decision
                for name, decision in self._by_id.items()
                if (name == decided or name.startswith(f"{decided}."))
                and decision in self._decided.get((decision.uid, decision.split), [])
            ]
            if not decided or not wanted:
                raise DataError("there is no such decision to take back, or it was taken back already")
            self.file.append([self._undo_of(decision, why="") for decision in wanted])
            self._refresh()
            return [self._rows[key] for key in ((made.uid, made.split) for made in wanted) if key in self._rows]

    def _is_as_seen(self, row: int, seen: Mapping[int, str]) -> bool:
        latest = self._latest(self._key(row))
        return latest is None or latest.id == seen.get(row, "")

    def _decision(self, row: int, stored: Mapping[str, Any], wish: Wish, name: str) -> Decision | None:
        """The decision about a row; None if it has all wanted labels already."""
        action, own = wish.action, labels_of(stored).fields()
        fields = _changed(own, wish.new.fields()) if action == "change" else {}
        if action == "change" and not fields:
            return None
        if action == "change":
            action = "mask" if all(value is None for value in fields.values()) else "correct"
        change = {}
        if fields:
            change = {"old": Labels.of_fields({key: own[key] for key in fields}), "new": Labels.of_fields(fields)}
        reasons = ", ".join(dict.fromkeys((wish.reasons or {}).get(row, ())))
        why = ": ".join(filter(None, (reasons, wish.why.strip())))
        about = {**self._about(row, stored), **change, "id": name, "action": action, "why": why}
        return Decision.model_validate(about)

    def _taken_back(self, row: int, stored: Mapping[str, Any]) -> list[Decision]:
        latest = self._latest(self._key(row))
        if latest is None:
            return []
        own = labels_of(stored).fields()
        stands = latest.changes_labels and all(own[key] == value for key, value in latest.new.fields().items())
        # A decision that is already in the labels is not taken back but built upon: a new build then applies both steps.
        return [] if stands else [self._undo_of(latest, why="decided again")]

    def _about(self, row: int, stored: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "uid": stored["uid"],
            "split": self.table.place(row)[0],
            "image_digest": stored["image_digest"],
            "face": stored["face"],
            "database": self.table.databases[stored["database"]],
            "dataset": self.folder.fingerprint,
            "who": self.who,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _undo_of(self, decision: Decision, why: str) -> Decision:
        about = decision.model_dump(include={"uid", "split", "image_digest", "face", "database"})
        now = {"who": self.who, "when": datetime.now(UTC).isoformat(timespec="seconds")}
        undo = {"id": uuid.uuid4().hex, "action": "undo", "undoes": decision.id, "why": why}
        return Decision.model_validate({**about, **now, **undo, "dataset": self.folder.fingerprint})

    def _key(self, row: int) -> tuple[str, str]:
        return self.table.frame["uid"][row], self.table.place(row)[0]

    def _latest(self, key: tuple[str, str]) -> Decision | None:
        return self._decided.get(key, [None])[-1]

    def _refresh(self) -> None:
        added = self.file.refresh()
        if added:
            self._take(added)

    def _take(self, decisions: Sequence[Decision]) -> None:
        """Updates which decisions are in force; only an undone undo makes it go through all of them."""
        self._find_rows(decisions)
        self.version += 1
        for decision in decisions:
            self._by_id[decision.id] = decision
            self._taken_at[decision.id] = self.version
            undone = self._by_id.get(decision.undoes)
            if undone is None:
                key = (decision.uid, decision.split)
                self._put(key, [*self._decided.get(key, []), decision])
                self._actions[decision.action] += 1
            elif undone.action == "undo":
                kept = in_force(self.file.decisions)
                self._decided, self._actions = {}, Counter(d.action for d in kept)
                self._states[:] = 0
                for earlier in kept:
                    key = (earlier.uid, earlier.split)
                    self._put(key, [*self._decided.get(key, []), earlier])
                return
            else:
                self._take_back(undone)

    def _find_rows(self, decisions: Sequence[Decision]) -> None:
        """Notes which rows decisions of others are about."""
        unknown = {(made.uid, made.split) for made in decisions} - self._rows.keys()
        if unknown:
            uids = pl.Series("uid", list({uid for uid, _ in unknown}), pl.String)
            rows = self.table.frame.select("uid").with_row_index("row").join(uids.to_frame(), on="uid", how="semi")
            self._rows |= {(uid, self.table.place(row)[0]): row for row, uid in rows.iter_rows()}

    def _take_back(self, decision: Decision) -> None:
        key = (decision.uid, decision.split)
        kept = [other for other in self._decided.get(key, []) if other.id != decision.id]
        self._actions[decision.action] -= len(self._decided.get(key, [])) - len(kept)
        self._put(key, kept)

    def _put(self, key: tuple[str, str], decisions: list[Decision]) -> None:
        if decisions:
            self._decided[key] = decisions
        else:
            self._decided.pop(key, None)
        if key in self._rows:
            self._states[self._rows[key]] = STATES.index(decisions[-1].action) if decisions else 0


def _changed(old: Mapping[Field_, Any], new: Mapping[Field_, Any]) -> dict[Field_, Any]:
    """The labels that differ. If the occurrence of an action unit is corrected, its intensity is masked."""
    changed = {key: value for key, value in new.items() if old[key] != value}
    for name, number in list(changed):
        intensity = ("au_intensity", number)
        if name == "au" and old[intensity] is not None and intensity not in changed:
            changed[intensity] = None
    return changed


def default_decisions(dataset: Path) -> Path:
    """The file of decisions beside a dataset; it is not inside, so that a rebuild does not lose it."""
    return dataset.with_name(f"{dataset.name}.decisions.jsonl")
