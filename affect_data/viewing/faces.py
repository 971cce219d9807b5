"""One face in full: its labels and where they come from, why it is doubted, what teachers say, what is around it."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.registry import AUDITS
from affect_data.audit.run import NotAuditedError, read_audit
from affect_data.audit.words import sentence
from affect_data.corrections.label_values import labels_of, number_of
from affect_data.dataset.thumbnail_cache import Pictures
from affect_data.dataset.thumbnails import face_picture
from affect_data.errors import DataError
from affect_data.viewing.desk import Desk
from affect_data.viewing.evidence import SEVERITIES
from affect_data.viewing.filters import labelled_tasks
from affect_data.viewing.table import LabelTable, tasks
from affect_data.viewing.teachers import opinions

FRAMES_AROUND: Final = 4
COPIES_SHOWN: Final = 12
POINTS_OF_A_TRACK: Final = 600
PICTURE_SIZES: Final = (160, 480, 960)


class Faces:
    """Describes single rows of a dataset; several threads may ask.

    Args:
        desk: of the dataset.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk, self.folder, self.table = desk, desk.folder, desk.table
        self._pictures = Pictures(self.folder)
        self._tasks = labelled_tasks(self.table)
        self._findings = _findings_by_row(self.table, self.folder.path)

    def describe(self, row: int) -> dict[str, Any]:
        """Everything about a row as plain values: labels by name, findings in words, opinions of teachers, neighbours, copies, decision.

        Raises:
            DataError: there is no such row.
        """
        self._check(row)
        split, number = self.table.place(row)
        stored = self.desk.stored([row])[0]
        votes = [None if math.isnan(share) else round(share, 3) for share in stored["expression_votes"]]
        decision = self.desk.decision(row)
        return {
            "row": row,
            "split": split,
            "database": self.table.databases[stored["database"]],
            **{name: stored[name] for name in ("uid", "release", "subject", "track", "frame", "face", "label_scope")},
            "source": f"{stored['source_file']}:{stored['source_line']}",
            "box": None if math.isnan(stored["face_box"][0]) else [number_of(side) for side in stored["face_box"]],
            "digest": stored["image_digest"],
            "labels": labels_of(stored).model_dump(mode="json"),
            "missing": self.missing(row),
            "votes": votes if any(share is not None for share in votes) else None,
            "findings": self.findings(row),
            "opinions": opinions(self.folder, split, number),
            "around": self.around(row),
            "copies": self.copies(row),
            "decision": decision.model_dump(mode="json", exclude_unset=True) if decision else None,
        }

    def missing(self, row: int) -> dict[str, str]:
        """Why the row has no label, by task of those that some database labels."""
        own = self.table.frame[row]
        database = int(own["database"][0])
        has = own.select(**tasks(self.table.units)).row(0, named=True)
        known = {task for labelled in self._tasks.values() for task in labelled}
        return {
            task: self.table.absence.of(task, row, database, self.table.databases[database])
            for task, labelled in has.items()
            if task in known and not labelled
        }

    def findings(self, row: int) -> list[dict[str, Any]]:
        """The findings about a row, most serious first, each in a sentence."""
        found = []
        for finding in self._findings.get(row, ()):
            audit = AUDITS.get(finding["check"])
            title, evidence = audit.title if audit else finding["check"], json.loads(finding["evidence"])
            words = sentence(finding["check"], title, finding["score"], evidence)
            known = {"title": title, "rule": audit.rule if audit else "", "words": words}
            found.append({**finding, "evidence": evidence, **known})
        return found

    def reasons(self, rows: Sequence[int]) -> dict[int, list[str]]:
        """The names of the checks that found each row."""
        return {row: [finding["check"] for finding in self._findings.get(row, ())] for row in rows}

    def around(self, row: int) -> list[int]:
        """The nearest rows of the same track before and after a row, in time order, without the row."""
        track = self._track(row)
        # Frames of a thinned video are far apart, so neighbours are the nearest rows and not the nearest frame numbers.
        at = int(np.flatnonzero(track == row)[0]) if row in track else 0
        near = track[max(0, at - FRAMES_AROUND) : at + FRAMES_AROUND + 1]
        return [int(other) for other in near if other != row]

    def copies(self, row: int) -> list[int]:
        """Other rows of its group of copies, at most `COPIES_SHOWN`."""
        group = self.table.frame["copies"][row]
        if group is None:
            return []
        rows = np.flatnonzero((self.table.frame["copies"] == group).fill_null(value=False).to_numpy())
        return [int(other) for other in rows if other != row][:COPIES_SHOWN]

    def time_line(self, row: int) -> dict[str, Any]:
        """The labels along the track of a row, at most `POINTS_OF_A_TRACK` of its frames: rows, frames, valence, arousal, action units, expression.

        Raises:
            DataError: there is no such row.
        """
        self._check(row)
        track = self._track(row)
        thinned = track[:: max(1, math.ceil(len(track) / POINTS_OF_A_TRACK))]
        frame = self.table.frame[thinned.tolist()]
        units = {number: frame[f"au{number}"].to_list() for number in self.table.units}
        return {
            "rows": thinned.tolist(),
            "frames": frame["frame"].to_list(),
            **{name: [_short(value) for value in frame[name]] for name in ("valence", "arousal")},
            "expression": frame["expression"].to_list(),
            "au": {number: values for number, values in units.items() if max(values, default=-1) >= 0},
        }

    def picture(self, row: int, size: int, *, whole: bool) -> bytes | None:
        """A JPEG of a row's face, or of the whole picture with its box; None if the dataset holds no picture.

        Raises:
            DataError: there is no such row or size, or the bytes are no picture.
        """
        self._check(row)
        if size not in PICTURE_SIZES:
            raise DataError(f"no such size; known: {', '.join(map(str, PICTURE_SIZES))}")
        data = self._pictures.read(*self.table.place(row))
        return None if data is None else face_picture(data, self.desk.stored([row])[0]["face_box"], size, whole=whole)

    def _track(self, row: int) -> npt.NDArray[np.int64]:
        """The rows of the track of a row within its split that have a frame number, in time order."""
        frame = self.table.frame
        track = frame["track"][row]
        if track is None or frame["frame"][row] < 0:
            return np.zeros(0, np.int64)
        same = (pl.col("track") == track) & (pl.col("split") == frame["split"][row]) & (pl.col("frame") >= 0)
        rows = frame.select("track", "split", "frame", pl.int_range(pl.len()).alias("row")).filter(same)
        return rows.sort("frame", maintain_order=True)["row"].to_numpy()

    def _check(self, row: int) -> None:
        if not 0 <= row < len(self.table):
            raise DataError(f"no such row; there are {len(self.table):,}")


def _findings_by_row(table: LabelTable, path: Any) -> Mapping[int, list[dict[str, Any]]]:  # noqa: ANN401
    try:
        found = read_audit(path)
    except NotAuditedError:
        return {}
    rows = table.frame.select("uid", pl.col("split").cast(pl.Int64)).with_row_index("row")
    ranks = {name: rank for rank, name in enumerate(SEVERITIES)}
    placed = (
        found.with_columns(
            pl.col("split").replace_strict(
                {s: i for i, s in enumerate(table.splits)}, default=-1, return_dtype=pl.Int64
            ),
            pl.col("severity").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int8).alias("rank"),
        )
        .join(rows, on=["uid", "split"], how="inner")
        .sort("rank", "score", "check", descending=[False, True, False])
    )
    by_row: dict[int, list[dict[str, Any]]] = {}
    for finding in placed.select("row", "check", "severity", "score", "evidence").iter_rows(named=True):
        by_row.setdefault(finding.pop("row"), []).append(finding)
    return by_row


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
