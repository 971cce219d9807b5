"""The ranked queue: every face with findings, most serious first, with its neighbours in the video and its copies."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from affect_data.bounds import read_lines_file
from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError, UsageError

FRAMES_AROUND: Final = 3
COPIES_SHOWN: Final = 12

_RANK: Final = {"error": 0, "warning": 1, "review": 2}
_PLACE: Final = ("uid", "split", "row")


@dataclass(frozen=True)
class Place:
    """A row of a dataset."""

    uid: str
    split: str
    row: int


@dataclass(frozen=True)
class Item:
    """One face of the queue.

    Attributes:
        place: the row.
        findings: `check, severity, score, evidence`, most serious first.
        frames: the rows of the same track before and after it, up to `FRAMES_AROUND` on each side, in time order.
        copies: other rows of its group of copies, at most `COPIES_SHOWN`.
    """

    place: Place
    findings: list[dict[str, Any]]
    frames: list[Place]
    copies: list[Place]


@dataclass
class Queue:
    """The faces to review, in order; both `len` and a single item are cheap, even with a hundred thousand items.

    Attributes:
        items: `uid, split, row, track, database, frame, findings`.
        skipped: findings about rows that the dataset does not have.
    """

    items: pl.DataFrame
    skipped: int
    _tracks: dict[tuple[Any, ...], pl.DataFrame] = field(default_factory=dict)
    _groups: dict[str, pl.DataFrame] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def place(self, index: int) -> Place:
        """The row of an item."""
        return Place(*self.items.select(*_PLACE).row(index))

    def __getitem__(self, index: int) -> Item:
        row = self.items.row(index, named=True)
        found = [{**finding, "evidence": json.loads(finding["evidence"])} for finding in row["findings"]]
        group = next((f["evidence"].get("group") for f in found if f["check"] == "duplicates"), None)
        copies = self._groups.get(group) if group is not None else None
        place = Place(row["uid"], row["split"], row["row"])
        return Item(place, found, self._around(row), [] if copies is None else _places(copies, place)[:COPIES_SHOWN])

    def _around(self, row: dict[str, Any]) -> list[Place]:
        track = self._tracks.get((row["database"], row["track"], row["split"]))
        if track is None or row["frame"] < 0:
            return []
        # Frames of a thinned video are far apart, so the neighbours are the nearest rows and not the nearest frame numbers.
        at = int(track["frame"].search_sorted(row["frame"]))
        near = track.slice(max(0, at - FRAMES_AROUND), at - max(0, at - FRAMES_AROUND) + FRAMES_AROUND + 1)
        return _places(near, Place(row["uid"], row["split"], row["row"]))


def _places(rows: pl.DataFrame, without: Place) -> list[Place]:
    places = [Place(*row) for row in rows.select(*_PLACE).iter_rows()]
    return [place for place in places if place != without]


def queue_of_findings(folder: DatasetFolder, findings: pl.DataFrame) -> Queue:
    """The queue of audit findings.

    Args:
        folder: the dataset.
        findings: with the columns of `audit.base.FINDINGS`.
    """
    rank = pl.col("severity").replace_strict(_RANK, default=len(_RANK), return_dtype=pl.Int8)
    columns = ("check", "severity", "score", "evidence")
    grouped = (
        findings.with_columns(rank.alias("rank"))
        .sort("rank", "score", "check", descending=[False, True, False])
        .group_by("uid", "split", maintain_order=True)
        .agg(pl.struct(columns).alias("findings"), pl.col("rank").first(), pl.col("score").first())
    )
    rows = _rows(folder)
    items = grouped.join(rows, on=["uid", "split"], how="inner", maintain_order="left")
    items = items.sort("rank", "score", descending=[False, True], maintain_order=True)
    copies = findings.filter(pl.col("check") == "duplicates").select(
        "uid", "split", pl.col("evidence").str.json_path_match("$.group").alias("group")
    )
    groups = copies.join(rows, on=["uid", "split"], how="inner").partition_by("group", as_dict=True)
    return Queue(items, len(grouped) - len(items), _tracks(rows, items), {str(key[0]): g for key, g in groups.items()})


def queue_of_uids(folder: DatasetFolder, uids: Sequence[str]) -> Queue:
    """The queue of named rows, in the order in which they are named.

    Raises:
        DataError: the dataset has none of these rows.
    """
    rows = _rows(folder)
    findings = pl.lit(
        [],
        dtype=pl.List(
            pl.Struct({"check": pl.String, "severity": pl.String, "score": pl.Float32, "evidence": pl.String})
        ),
    )
    named = pl.DataFrame({"uid": list(dict.fromkeys(uids))}, schema={"uid": pl.String})
    items = named.join(rows, on="uid", how="inner", maintain_order="left").with_columns(findings.alias("findings"))
    if items.is_empty():
        raise DataError(
            f"'{folder.path}' has none of the {len(named):,} uids that were named, for example {uids[0] if uids else '-'!r}"
        )
    return Queue(items, named.join(rows, on="uid", how="anti").height, _tracks(rows, items), {})


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


def _rows(folder: DatasetFolder) -> pl.DataFrame:
    columns = ("uid", "database", "track", "frame")
    parts = [
        folder.labels(split).select(*columns, pl.lit(split).alias("split")).with_row_index("row")
        for split in folder.splits
    ]
    return pl.concat(parts)


def _tracks(rows: pl.DataFrame, items: pl.DataFrame) -> dict[tuple[Any, ...], pl.DataFrame]:
    key = ["database", "track", "split"]
    tracked = rows.filter((pl.col("track") != "") & (pl.col("frame") >= 0)).join(
        items.select(key).unique(), on=key, how="semi"
    )
    return dict(tracked.sort("frame").partition_by(key, as_dict=True))
