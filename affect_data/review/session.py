"""A review in progress: a queue, the labels of its rows, and the decisions so far. HTTP is left to `server`."""

import math
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from affect_data.audit.registry import AUDITS
from affect_data.corrections.decisions import Decision, DecisionFile, Field_, Labels, in_force
from affect_data.corrections.label_values import labels_of
from affect_data.dataset.folder import LABEL_NAMES, DatasetFolder, open_dataset
from affect_data.dataset.thumbnails import face_picture, image_bytes
from affect_data.errors import DataError
from affect_data.review.queue import Place, Queue

PICTURE_SIZES: Final = (160, 480, 960)


class DecidedMeanwhileError(DataError):
    """Somebody else has decided about a face since the page showed it."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(f"{decision.who} has decided about this face meanwhile ({decision.action}); look at it again")


class ReviewSession:
    """Answers the questions of a page and records its decisions; several threads may use it.

    Args:
        folder: the dataset.
        queue: of its rows.
        decisions: the file; it is read before and after every decision, so that reviewers may share it.
        who: the reviewer.
    """

    def __init__(self, folder: DatasetFolder, queue: Queue, decisions: DecisionFile, who: str) -> None:
        self.folder, self.queue, self.file, self.who = folder, queue, decisions, who
        self._lock = threading.RLock()
        self._labels = {split: folder.stored_labels(split) for split in folder.splits}
        self._names = folder.manifest.databases
        self._index = {place: index for index, place in enumerate(queue.items.select("uid", "split").iter_rows())}
        self._open = np.ones(len(queue), bool)
        self._decided: dict[tuple[str, str], list[Decision]] = {}
        self._by_id: dict[str, Decision] = {}
        self._actions: Counter[str] = Counter()
        self._take(decisions.decisions)

    def overview(self) -> dict[str, Any]:
        """How many items there are, how many are decided, and the first open one."""
        with self._lock:
            self._refresh()
            return {
                "items": len(self.queue),
                "decided": len(self.queue) - int(self._open.sum()),
                "next": self.next_open(-1),
                "actions": dict(sorted((+self._actions).items())),
                "who": self.who,
                "dataset": self.folder.path.name,
                "file": self.file.path.name,
                "skipped": self.queue.skipped,
            }

    def next_open(self, after: int) -> int | None:
        """The first undecided item after the item `after`, or else from the beginning; None if all are decided."""
        with self._lock:
            self._refresh()
            behind = np.flatnonzero(self._open[after + 1 :])
            if len(behind):
                return after + 1 + int(behind[0])
            before = np.flatnonzero(self._open[: after + 1])
            return int(before[0]) if len(before) else None

    def item(self, index: int) -> dict[str, Any]:
        """One item as plain values: labels by name, findings, neighbours, copies and the decision in force."""
        with self._lock:
            self._refresh()
            item = self.queue[index]
            decision = self._latest(item.place)
        findings = [
            {
                **finding,
                "title": AUDITS[finding["check"]].title if finding["check"] in AUDITS else finding["check"],
                "rule": AUDITS[finding["check"]].rule if finding["check"] in AUDITS else "",
            }
            for finding in item.findings
        ]
        return {
            "index": index,
            **self._described(item.place),
            "findings": findings,
            "frames": [self._described(place) for place in item.frames],
            "copies": [self._described(place) for place in item.copies],
            "decision": decision.model_dump(mode="json", exclude_unset=True) if decision else None,
        }

    def decide(self, index: int, action: str, new: Labels, why: str, seen: str) -> Decision:
        """The recorded decision about an item; an earlier decision about it is taken back.

        Args:
            index: of the item.
            action: ``keep``, ``change`` or ``skip``.
            new: labels that the reviewer wants; labels that do not change are left out of the decision.
            why: the reviewer's note.
            seen: id of the decision that the page showed; empty for none.

        Raises:
            DecidedMeanwhileError: the decision in force is not the one that the page showed.
            DataError: the action is ``change`` and nothing differs, or the dataset's labels have changed meanwhile.
        """
        with self._lock:
            self._refresh()
            if open_dataset(self.folder.path).fingerprint != self.folder.fingerprint:
                raise DataError(
                    "the labels have changed since this review was started: end it with Ctrl-C and start it again"
                )
            item = self.queue[index]
            latest = self._latest(item.place)
            if latest is not None and latest.id != seen:
                raise DecidedMeanwhileError(latest)
            row = self._row(item.place)
            fields = _changed(labels_of(row).fields(), new.fields()) if action == "change" else {}
            if action == "change" and not fields:
                raise DataError("no label differs; keep the labels instead")
            old = {key: labels_of(row).fields()[key] for key in fields}
            if action == "change":
                action = "mask" if all(value is None for value in fields.values()) else "correct"
            about = self._about(item.place, row)
            reasons = ", ".join(dict.fromkeys(finding["check"] for finding in item.findings))
            change = {"old": Labels.of_fields(old), "new": Labels.of_fields(fields)} if fields else {}
            note = ": ".join(filter(None, (reasons, why.strip())))
            decision = Decision.model_validate({**about, **change, "action": action, "why": note})
            # A decision that is already in the labels is not taken back but built upon: a new build then applies both steps.
            stands = latest is not None and latest.changes_labels and _stands(latest, row)
            taken_back = [self._undo_of(latest, why="decided again")] if latest is not None and not stands else []
            self.file.append([*taken_back, decision])
            self._refresh()
            return decision

    def undo(self, decision_id: str) -> Decision:
        """The recorded decision that takes another one back.

        Raises:
            DataError: no decision in force has this id.
        """
        with self._lock:
            self._refresh()
            decision = self._by_id.get(decision_id)
            if decision is None or decision not in self._decided.get((decision.uid, decision.split), []):
                raise DataError("there is no such decision to take back, or it was taken back already")
            self.file.append([self._undo_of(decision, why="")])
            self._refresh()
            return decision

    def index_of(self, uid: str, split: str) -> int | None:
        """The position of a row in the queue; None if it is not in it."""
        return self._index.get((uid, split))

    def picture(self, split: str, row: int, size: int, *, whole: bool) -> bytes | None:
        """A JPEG of a row's face, or of the whole picture; None if the dataset holds no picture.

        Raises:
            DataError: there is no such row, or the bytes are no picture.
        """
        if split not in self._labels or not 0 <= row < self.folder.rows(split) or size not in PICTURE_SIZES:
            raise DataError("no such picture")
        data = image_bytes(self.folder, split, row)
        if data is None:
            return None
        return face_picture(data, self._row(Place("", split, row))["face_box"], size, whole=whole)

    def _refresh(self) -> None:
        self._take(self.file.refresh())

    def _take(self, decisions: Sequence[Decision]) -> None:
        """Updates which decisions are in force; only an undone undo makes it go through all of them."""
        for decision in decisions:
            self._by_id[decision.id] = decision
            undone = self._by_id.get(decision.undoes)
            if undone is None:
                self._put(
                    (decision.uid, decision.split), [*self._decided.get((decision.uid, decision.split), []), decision]
                )
                self._actions[decision.action] += 1
            elif undone.action == "undo":
                kept = in_force(self.file.decisions)
                self._decided, self._actions = {}, Counter(d.action for d in kept)
                self._open[:] = True
                for earlier in kept:
                    place = (earlier.uid, earlier.split)
                    self._put(place, [*self._decided.get(place, []), earlier])
                return
            else:
                self._take_back(undone)

    def _take_back(self, decision: Decision) -> None:
        place = (decision.uid, decision.split)
        kept = [other for other in self._decided.get(place, []) if other.id != decision.id]
        self._actions[decision.action] -= len(self._decided.get(place, [])) - len(kept)
        self._put(place, kept)

    def _put(self, place: tuple[str, str], decisions: list[Decision]) -> None:
        if decisions:
            self._decided[place] = decisions
        else:
            self._decided.pop(place, None)
        if place in self._index:
            self._open[self._index[place]] = not decisions

    def _latest(self, place: Place) -> Decision | None:
        return self._decided.get((place.uid, place.split), [None])[-1]

    def _row(self, place: Place) -> dict[str, Any]:
        stored = self._labels[place.split].slice(place.row, 1)
        row: dict[str, Any] = self.folder.view.table(stored, LABEL_NAMES).to_pylist()[0]
        return row

    def _about(self, place: Place, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": uuid.uuid4().hex,
            "uid": place.uid,
            "split": place.split,
            "image_digest": row["image_digest"],
            "face": row["face"],
            "database": self._names[row["database"]],
            "dataset": self.folder.fingerprint,
            "who": self.who,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _undo_of(self, decision: Decision, why: str) -> Decision:
        about = decision.model_dump(include={"uid", "split", "image_digest", "face", "database"})
        now = {"who": self.who, "when": datetime.now(UTC).isoformat(timespec="seconds")}
        undo = {"id": uuid.uuid4().hex, "action": "undo", "undoes": decision.id, "why": why}
        return Decision.model_validate({**about, **now, **undo, "dataset": self.folder.fingerprint})

    def _described(self, place: Place) -> dict[str, Any]:
        row = self._row(place)
        labels = labels_of(row)
        votes = [None if math.isnan(share) else round(share, 3) for share in row["expression_votes"]]
        return {
            "uid": place.uid,
            "split": place.split,
            "row": place.row,
            "database": self._names[row["database"]],
            "release": row["release"],
            "track": row["track"],
            "frame": row["frame"],
            "face": row["face"],
            "source": f"{row['source_file']}:{row['source_line']}",
            "labels": labels.model_dump(mode="json"),
            "votes": votes if any(share is not None for share in votes) else None,
        }


def _stands(decision: Decision, row: dict[str, Any]) -> bool:
    labels = labels_of(row).fields()
    return all(labels[key] == value for key, value in decision.new.fields().items())


def _changed(old: dict[Field_, Any], new: dict[Field_, Any]) -> dict[Field_, Any]:
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
