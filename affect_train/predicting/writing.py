"""Writes the table of faces while it grows: as CSV, as Parquet, and with the columns of OpenFace."""

import csv
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from affect_train.predicting.columns import FaceColumns, Seen

BUFFERED: Final = 4096
"""Rows that are written at once."""

CSV: Final = "faces.csv"
PARQUET: Final = "faces.parquet"
OPENFACE: Final = "openface"
PLACE: Final = ("frame", "face_id", "timestamp", "confidence", "success")


class FaceTable:
    """The table of faces in a folder, written in both formats as rows come; a context manager.

    Args:
        folder: to write to.
        columns: of the table.
    """

    def __init__(self, folder: Path, columns: FaceColumns) -> None:
        self.rows = 0
        self._schema = columns.schema()
        self._waiting: list[dict[str, Any]] = []
        self._files = ExitStack()
        with ExitStack() as opened:
            self._csv = opened.enter_context(pa.csv.CSVWriter(folder / CSV, self._schema))
            self._parquet = opened.enter_context(
                pa.parquet.ParquetWriter(folder / PARQUET, self._schema, compression="zstd")
            )
            self._files = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            self._flush()
        finally:
            self._files.close()

    def add(self, row: dict[str, Any]) -> None:
        """Takes a row by column."""
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) >= BUFFERED:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            part = pa.RecordBatch.from_pylist(self._waiting, self._schema)
            self._csv.write_batch(part)
            self._parquet.write_batch(part)
            self._waiting = []


class OpenFaceFile:
    """One clip or photograph with OpenFace 2's column names: frame from 1 on, face, seconds, confidence, success, presence of action units.

    Landmarks (``x_0`` ... ``y_67``, in pixels) follow if the detector gives them. Intensities (``AU01_r``), gaze and pose are left out: a model here
    predicts none of them, and a probability is no intensity. A frame without a face has no row. A file without a face has the header alone.

    Args:
        path: of the file.
        columns: of the model's table.
    """

    def __init__(self, path: Path, columns: FaceColumns) -> None:
        self._units = sorted(columns.units)
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer: csv.DictWriter[str] | None = None

    def add(self, row: Mapping[str, Any], seen: Seen) -> None:
        """Takes a row of the table and its face."""
        found = {
            "frame": 1 if row["frame"] is None else row["frame"] + 1,
            "face_id": row["face"] if row["track"] is None else row["track"],
            "timestamp": 0.0 if row["timestamp"] is None else round(row["timestamp"], 6),
            "confidence": round(row["score"], 4),
            "success": 1,
        }
        if seen.found.landmarks is not None:
            for axis, values in zip("xy", seen.found.landmarks.T, strict=True):
                found |= {f"{axis}_{number}": round(float(value), 2) for number, value in enumerate(values)}
        found |= {f"{unit}_c": row[f"{unit}_present"] for unit in self._units}
        self._opened(list(found)).writerow(found)

    def close(self) -> None:
        """Closes the file."""
        self._opened([*PLACE, *(f"{unit}_c" for unit in self._units)])
        self._file.close()

    def _opened(self, names: list[str]) -> "csv.DictWriter[str]":
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, names, lineterminator="\n")
            self._writer.writeheader()
        return self._writer


class OpenFaceFiles:
    """A file in OpenFace's format for each source, one after the other; a context manager.

    Args:
        folder: made for the first file.
        names: a file name without ending for each source, by the source's name.
        columns: of the model's table.
    """

    def __init__(self, folder: Path, names: Mapping[str, str], columns: FaceColumns) -> None:
        self._folder, self._names, self._columns = folder, names, columns
        self._written: set[str] = set()
        self._file: OpenFaceFile | None = None
        self._source = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._close()

    def add(self, row: Mapping[str, Any], seen: Seen) -> None:
        """Takes a row of the table and its face; the rows of a source follow each other."""
        if self._file is None or seen.file != self._source:
            self._open(seen.file)
        assert self._file is not None
        self._file.add(row, seen)

    def add_rest(self) -> None:
        """Writes a file for each source in which no face was found."""
        for source in self._names:
            if source not in self._written:
                self._open(source)

    def _open(self, source: str) -> None:
        self._close()
        self._folder.mkdir(exist_ok=True)
        self._file, self._source = OpenFaceFile(self._folder / f"{self._names[source]}.csv", self._columns), source
        self._written.add(source)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def rows_of(path: Path, file: str) -> pl.DataFrame:
    """The rows of one file of a finished table."""
    return pl.scan_parquet(path).filter(pl.col("file") == file).collect()
