"""Reads what UNBC-McMaster says of whole sequences: the pain that people report of themselves, and that an observer sees."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.root import FIX_FILE, DatabaseRoot
from affect_data.databases.unbc.files import SUBJECTS, folder_named

SEQUENCE_LABELS: Final = "Sequence_Labels"
SEQUENCE_FILE: Final = re.compile(r"(?P<track>.+)\.txt", re.IGNORECASE)
HIGHEST_OF: Final[Mapping[str, int]] = MappingProxyType({"VAS": 10, "OPR": 5, "AFF": 15, "SEN": 15})
"""The highest number of each kind."""
SEQUENCE_SCORES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vas": "pain of the whole sequence as the person marks it on a line (visual analogue scale), 0 to 10",
        "opr": "pain of the whole sequence as an observer sees it, 0 to 5",
        "aff": "how unpleasant the pain of the whole sequence is to the person, 0 to 15",
        "sen": "how strong the pain of the whole sequence is to the person, 0 to 15",
    }
)
"""What the kinds mean, by the names of their groups."""


def with_sequence_scores(root: DatabaseRoot, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `score_vas`, `score_opr`, `score_aff` and `score_sen` of the sequence that they are of; null where there is no file.

    A file that does not hold one number in range is a defect.

    Args:
        root: of the database.
        rows: with subject and track.
    """
    labels = folder_named(root, SEQUENCE_LABELS)
    if labels is None:
        root.note(f"there is no folder {SEQUENCE_LABELS} with the pain of whole sequences")
    for kind, highest in HIGHEST_OF.items():
        scores = _scores(root, root.one_of(kind, under=labels) if labels else None, f"score_{kind.lower()}", highest)
        without = rows.select("subject", "track").unique().join(scores, on=["subject", "track"], how="anti")
        if labels is not None and len(without):
            root.note(f"{len(without)} sequence(s) have no file of {kind} in {labels}")
        rows = rows.join(scores, on=["subject", "track"], how="left", maintain_order="left")
    return rows


def _scores(root: DatabaseRoot, folder: str | None, name: str, highest: int) -> pl.DataFrame:
    """The number of each sequence of a kind: subject, track, and the score under a name."""
    files: dict[str, tuple[str, str]] = {}
    for entry in sorted(root.entries(folder)) if folder else ():
        if entry.lower() in SUBJECTS:
            names = root.label_files(f"{folder}/{entry}")
            root.lose_unread(
                f"{folder}/{entry}", [one for one in names if not SEQUENCE_FILE.fullmatch(one)], "ll042t1aaaff.txt"
            )
            found = [match for one in names if (match := SEQUENCE_FILE.fullmatch(one))]
            files |= {f"{folder}/{entry}/{match[0]}": (entry.lower(), match["track"].lower()) for match in found}
    lines = root.table(list(files), ("line",), separator="\n")
    lines = lines.filter(pl.col("line").str.strip_chars() != "")
    for path in sorted(set(files) - set(lines["source_file"])):
        root.defect(path, 0, "an empty file", f"one number from 0 to {highest}", FIX_FILE)
    lines = root.refuse_repeated(lines, "source_file", "a second number = {line!r}", "one number")
    lines = root.numbers(lines, ["line"], 0, highest)
    places = pl.DataFrame(
        [(path, *place) for path, place in files.items()],
        {"source_file": pl.String, "subject": pl.String, "track": pl.String},
        orient="row",
    )
    return lines.join(places, on="source_file", how="inner").select("subject", "track", pl.col("line").alias(name))
