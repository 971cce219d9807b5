"""Finds the rows to erase: those of a person, of uids or of a picture, and all rows that show a copy of their pictures."""

import difflib
import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.build.erased import Tombstones
from affect_data.dataset.folder import AUDIT, AUDIT_PICTURES, DatasetFolder
from affect_data.dataset.schema import FRAMES
from affect_data.errors import DataError
from affect_data.system_errors import reading

NEAR_SHOWN: Final = 3
COMPARED: Final = 2000
"""Names before and behind a wrong one in alphabetical order that are compared with it."""
COPIES_CHECK: Final = "duplicates"
NEEDED: Final = ("uid", "database", "subject", "image_digest")

Masks = dict[str, npt.NDArray[np.bool_]]
"""Whether each row is meant, by split."""


@dataclass(frozen=True)
class Wanted:
    """Whom to erase, as the call names them.

    Attributes:
        subjects: as ``database:id``.
        uids: of single rows.
        faces: picture files; rows with the same bytes are meant.
    """

    subjects: Sequence[str] = ()
    uids: Sequence[str] = ()
    faces: Sequence[Path] = ()


class NobodyFoundError(DataError):
    """Somebody is to be erased who is not in the dataset; nothing was erased."""

    def __init__(self, path: Path, kind: str, name: str, near: Sequence[str], remedy: str) -> None:
        like = f" Near to it: {', '.join(near)}." if near else ""
        super().__init__(f"'{path}' has no {kind} '{name}'; nothing was erased.{like} {remedy}")


@dataclass(frozen=True)
class Selection:
    """The rows to erase.

    Attributes:
        masks: whether each row is erased.
        named: how many rows the call names; the others are copies of their pictures.
        subjects: people all of whose rows are erased, as ``database:id``.
        digests: sha256 of the erased pictures and frames.
        already: what the call names and an earlier call has erased.
        more_of: people with other rows that stay, by ``database:id``.
    """

    masks: Masks
    named: int
    subjects: tuple[str, ...]
    digests: frozenset[str]
    already: tuple[str, ...]
    more_of: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Number of rows to erase."""
        return sum(int(mask.sum()) for mask in self.masks.values())


def select(folder: DatasetFolder, wanted: Wanted, known: Tombstones) -> Selection:
    """The rows that a call means, and those that show copies of their pictures.

    Copies are rows whose picture has the same bytes, and those that the audit of stored pictures has found (`affect-data audit --check duplicates`),
    if it is about the present pictures.

    Args:
        folder: the dataset.
        wanted: whom to erase.
        known: what was erased before.

    Raises:
        NobodyFoundError: a name or a picture is not in the dataset; says which are near.
        FileAccessError: a picture cannot be read.
    """
    labels = {split: _people(folder, split) for split in folder.splits}
    frames = {split: _frame_digests(folder, split) for split in folder.splits}
    masks: Masks = {split: np.zeros(len(rows), bool) for split, rows in labels.items()}
    already: list[str] = []
    names = [("who", "person", name, name) for name in wanted.subjects]
    names += [("uid", "row", name, name) for name in wanted.uids]
    names += [("image_digest", "picture with the bytes of", str(face), _digest(face)) for face in wanted.faces]
    for column, kind, name, value in names:
        found = {split: (rows[column] == value).to_numpy() for split, rows in labels.items()}
        if column == "image_digest":
            found = {split: found[split] | _holds(frames[split], {value}, len(found[split])) for split in found}
        if any(mask.any() for mask in found.values()):
            masks = {split: masks[split] | found[split] for split in masks}
        elif known and known.mark(value) in {*known.subjects, *known.rows, *known.pictures}:
            already.append(name)
        else:
            raise _nobody(folder.path, column, kind, name, labels)
    named = sum(int(mask.sum()) for mask in masks.values())
    masks, digests = _with_copies(folder, labels, frames, masks)
    people = pl.concat([rows.with_columns(pl.Series("erased", masks[split])) for split, rows in labels.items()])
    counted = people.filter(pl.col("subject") != "").group_by("who").agg(pl.col("erased").sum(), pl.len())
    touched = counted.filter(pl.col("erased") > 0).sort("who")
    return Selection(
        masks,
        named,
        tuple(dict.fromkeys(wanted.subjects)),
        digests,
        tuple(already),
        {who: rows - erased for who, erased, rows in touched.iter_rows() if rows > erased},
    )


def _people(folder: DatasetFolder, split: str) -> pl.DataFrame:
    return folder.labels(split, NEEDED).with_columns(who=pl.format("{}:{}", "database", "subject"))


def _frame_digests(folder: DatasetFolder, split: str) -> list[list[str]]:
    """The digests of the frames of every row; empty if the dataset has no clips."""
    if FRAMES not in folder.groups(split):
        return []
    stored = folder.load(split, [FRAMES]).data.table
    return [
        [hashlib.sha256(frame["bytes"]).hexdigest() for frame in row.as_py()]
        for chunk in stored.column(FRAMES).chunks
        for row in chunk
    ]


def _digest(face: Path) -> str:
    with reading(face), face.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds(frames: Sequence[Sequence[str]], digests: set[str], rows: int) -> npt.NDArray[np.bool_]:
    return np.array([not digests.isdisjoint(own) for own in frames], bool) if frames else np.zeros(rows, bool)


def _nobody(path: Path, column: str, kind: str, name: str, labels: Mapping[str, pl.DataFrame]) -> NobodyFoundError:
    if column == "image_digest":
        remedy = "A copy with other bytes is not recognised: name the row by --uid or the person by --subject"
        return NobodyFoundError(path, kind, name, (), remedy)
    rows = pl.concat(list(labels.values()))
    rows = rows.filter(pl.col("subject") != "") if column == "who" else rows
    texts = rows[column].unique().sort().to_list()
    place = bisect_left(texts, name)
    # Comparing millions of names would take minutes; a mistyped name mostly begins right.
    near = difflib.get_close_matches(name, texts[max(0, place - COMPARED) : place + COMPARED], n=NEAR_SHOWN)
    if not near and column == "who":
        near = texts[:NEAR_SHOWN]
    remedy = "A person is named as database:id" if column == "who" else "A row is named by its whole uid"
    return NobodyFoundError(path, kind, name, near, f"{remedy}, as `affect_data.load_dataset` and `review` show it")


def _with_copies(
    folder: DatasetFolder, labels: Mapping[str, pl.DataFrame], frames: Mapping[str, list[list[str]]], masks: Masks
) -> tuple[Masks, frozenset[str]]:
    """The masks with all copies of the pictures, and the digests of all pictures that are erased."""
    groups = _copy_groups(folder)
    while True:
        digests = {digest for split, rows in labels.items() for digest in rows["image_digest"].filter(masks[split])}
        for split, own in frames.items():
            digests |= {digest for row in np.flatnonzero(masks[split]) if own for digest in own[row]}
        uids = {uid for split, rows in labels.items() for uid in rows["uid"].filter(masks[split])}
        uids |= {uid for group in groups if not uids.isdisjoint(group) for uid in group}
        wider = {
            split: masks[split]
            | rows["image_digest"].is_in(list(digests)).to_numpy()
            | rows["uid"].is_in(list(uids)).to_numpy()
            | _holds(frames[split], digests, len(rows))
            for split, rows in labels.items()
        }
        if all((wider[split] == masks[split]).all() for split in masks):
            return masks, frozenset(digests)
        masks = wider


def _copy_groups(folder: DatasetFolder) -> list[set[str]]:
    """The uids of rows that the stored audit takes for copies of each other; empty if there is none of the present pictures."""
    file = folder.path / AUDIT
    if not file.is_file():
        return []
    if pl.read_parquet_metadata(file).get(AUDIT_PICTURES) != folder.manifest.fingerprints.pictures:
        return []
    found: dict[str, set[str]] = {}
    copies = pl.read_parquet(file).filter(pl.col("check") == COPIES_CHECK)
    for uid, evidence in copies.select("uid", "evidence").iter_rows():
        group = json.loads(evidence).get("group", "")
        found.setdefault(group, {group}).add(uid)
    return list(found.values())
