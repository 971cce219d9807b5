"""Writes the votes of FER+: a ``label.csv`` beside the pictures of each part, or ``fer2013new.csv``, whose lines are those of ``fer2013.csv``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from affect_data.databases.ferplus.facts import ANNOTATORS
from affect_data.databases.ferplus.reader import SPLIT_NAMES, VOTES_HEADER, WHOLE_PICTURE
from affect_data.databases.ferplus.votes import CANDIDATES, EXPRESSIONS
from affect_data.exporting.forms import NO_ROW, NativeFile, NativeForm, file_name_of, lists
from affect_data.vocabulary import EXPRESSIONS as VOCABULARY

USAGES: Final = {split: usage for usage, split in SPLIT_NAMES.items()}
FIRST_LINE: Final = 2
NOT_A_FACE: Final = ",".join(["0"] * (len(CANDIDATES) - 1) + [str(ANNOTATORS)])
"""The votes on a picture without a name: all official ones of them are "not a face"."""


def _files(rows: pl.DataFrame) -> Iterator[NativeFile]:
    faces = rows.filter(pl.col("uid").is_not_null())
    if faces.is_empty():
        return
    places = [VOCABULARY.index(name) for name in EXPRESSIONS]
    votes = [_votes([shares[place] for place in places]) for shares in faces["expression_votes"].to_list()]
    voted = faces.with_columns(cells=pl.Series([",".join(map(str, counts)) for counts in votes], dtype=pl.String))
    yield from _table(voted, rows) if faces["release"][0] == "csv" else _parts(voted)


def _parts(voted: pl.DataFrame) -> Iterator[NativeFile]:
    return lists(voted, pl.concat_str(file_name_of(), pl.lit(f'"{WHOLE_PICTURE}"'), "cells", separator=","))


def _table(voted: pl.DataFrame, rows: pl.DataFrame) -> Iterator[NativeFile]:
    """Every line up to the last: were one left out, the votes below it would belong to other pictures."""
    path = str(voted["source_file"][0])
    last = max(rows.filter(pl.col("source_file") == path)["source_line"])
    usage = pl.col("split").replace_strict(USAGES, return_dtype=pl.String)
    lines = (
        pl.DataFrame({"source_line": range(FIRST_LINE, last + 1)}, {"source_line": pl.Int32})
        .join(
            voted.select("source_line", "uid", "cells", usage=usage),
            on="source_line",
            how="left",
            maintain_order="left",
        )
        # The parts follow each other, so that a line between two faces of one is of the same.
        .with_columns(pl.col("usage").forward_fill().backward_fill(), pl.col("cells").fill_null(NOT_A_FACE))
    )
    name = (
        pl.when(pl.col("uid").is_not_null())
        .then("fer" + file_name_of().str.extract(r"#(\d+\.png)"))
        .otherwise(pl.lit(""))
    )
    text = lines.select(line=pl.concat_str("usage", name, "cells", separator=","))["line"]
    yield NativeFile(path, "".join(f"{line}\n" for line in (",".join(VOTES_HEADER), *text)))


def _votes(shares: Sequence[float]) -> list[int]:
    """The votes on the eight expressions and on the two others, which are taken as "unknown", for as many annotators as fit the shares."""
    counts = [[share * total for share in shares] for total in range(ANNOTATORS, 0, -1)]
    whole = next(votes for votes in counts if all(abs(vote - round(vote)) < 1e-3 for vote in votes))
    total = ANNOTATORS - counts.index(whole)
    votes = [round(vote) for vote in whole]
    return [*votes, total - sum(votes), 0]


FERPLUS_FORMS: Final[Mapping[str, NativeForm]] = {
    "ferplus": NativeForm(
        _files,
        (
            NO_ROW,
            'which of "unknown" and "not a face" was voted: both count as "unknown"',
            "fewer votes than ten where the shares do not show it",
            "a corrected class: the lists hold votes alone",
            'in fer2013new.csv, names: those of the lines\' numbers stand for them; a line that gave no row has none, and ten votes for "not a face"',
        ),
        releases=("csv", "folders"),
        counts_lines=True,
    )
}
