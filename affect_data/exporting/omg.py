"""Writes the lists of OMG-Emotion: a line for each utterance, arousal before valence."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from affect_data.databases.omg import CLASS, COLUMNS, TIMES, Omg
from affect_data.exporting.forms import NO_ROW, SPELLING, NativeFile, NativeForm, code_of, lists, number


def _omg(rows: pl.DataFrame) -> Iterator[NativeFile]:
    utterance = pl.col("track").str.extract(r"([^/]+)$")
    # An empty class is the official spelling of none.
    code = code_of("expression", Omg.mapping, CLASS).fill_null("")
    times = [number(name) for name in TIMES]
    cells = (pl.lit(""), *times, pl.col("subject"), utterance, number("arousal"), number("valence"), code)
    return lists(rows, pl.concat_str(*cells, separator=","), ",".join(COLUMNS) + "\n")


def _as_read(rows: pl.DataFrame, options: Mapping[str, Any]) -> pl.DataFrame:
    """The rows with arousal from 0 to 1, as the files have it."""
    if options.get("arousal") != "rescaled":
        return rows
    # Stored in 32 bits after rescaling, small numbers have no more decimals than these.
    return rows.with_columns(arousal=((pl.col("arousal").cast(pl.Float64) + 1) / 2).round(6).cast(pl.Float32))


OMG_FORMS: Final[Mapping[str, NativeForm]] = {
    "omg": NativeForm(
        _omg,
        (
            NO_ROW,
            f"{SPELLING}, and digits of times beyond the seventh",
            "decimals beyond the sixth of arousal that the recipe rescaled",
            "the link: its cell is empty",
            "a class that is none of the seven: its cell is empty, as where no class has the most votes",
            "lines whose valence and arousal a decision took away",
        ),
        side=tuple(TIMES),
        as_read=_as_read,
    )
}
