"""The csv lists of AffectNet, read block by block into typed columns, without their landmarks.

It gives what the strict reader gives, cell by cell, as long as every line has the official form. Anything else raises `UnusualError`, and the strict
reader says what is wrong.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from affect_data.bounds import BoundError, line_blocks
from affect_data.databases.affectnet.file_lists import FileList
from affect_data.databases.affectnet.forms import (
    CODES,
    CORNER,
    IMAGE_PATH,
    LIST_COLUMNS,
    NATIVE,
    NO_BOX,
    NO_VALUE,
    SIZE,
    WITHOUT_EXPRESSION,
)  # fmt: skip
from affect_data.databases.root import FARTHEST_PIXEL, DatabaseRoot
from affect_data.databases.spelling import INDEX_COLUMN
from affect_data.databases.typed import UnusualError

BLOCK_BYTES: Final = 16 << 20

_PATH: Final = LIST_COLUMNS[0]
_LABELS: Final = ("expression", "valence", "arousal")
_NUMBERS: Final = (*CORNER, *SIZE, *_LABELS)
_MARK: Final = b"\xef\xbb\xbf"


def typed_faces(root: DatabaseRoot, listed: FileList, *, header_lines: int, has_index: bool) -> pl.DataFrame:
    """The lines of a list: image, source_file, source_line, split, the class by code and by name, valence, arousal, and the box.

    Args:
        root: of the database.
        listed: the list.
        header_lines: lines at the top.
        has_index: whether the first column only counts the lines.

    Raises:
        OutsideError: the path leaves the folder.
        UnusualError: a line is not as plain as expected, or the list is to be read line by line.
    """
    if root.line_by_line:
        raise UnusualError("read line by line")
    columns = ([INDEX_COLUMN] if has_index else []) + list(LIST_COLUMNS)
    parts, line = [], header_lines + 1
    for block in _blocks(root, listed.path, header_lines):
        faces = _faces(block, columns)
        parts.append(faces.with_columns(pl.int_range(line, line + len(faces), dtype=pl.Int32).alias("source_line")))
        line += len(faces)
    if not parts:
        raise UnusualError("no line")
    root.annotation_files.add(listed.path)
    return pl.concat(parts).with_columns(
        pl.format("{}/{}", pl.lit(listed.images), _PATH).alias("image"),
        pl.lit(listed.path).alias("source_file"),
        pl.lit(listed.split).alias("split"),
    )


def _blocks(root: DatabaseRoot, path: str, header_lines: int) -> Iterator[bytes]:
    """The lines of a list without its header and without line ends at its end, in blocks that end in one."""
    root.confined.check(path)
    waiting = b""
    try:
        for number, block in enumerate(line_blocks(root.path / path, path, BLOCK_BYTES)):
            if number == 0:
                block = block.removeprefix(_MARK)
                for _ in range(header_lines):
                    block = block.partition(b"\n")[2]
            if not block.isascii():
                raise UnusualError(path)
            if b"\r" in block:
                block = block.replace(b"\r\n", b"\n")
            if not waiting and block.endswith(b"\n") and not block.endswith(b"\n\n"):
                yield block  # the usual case, without a copy
                continue
            filled = block.rstrip(b"\n")
            if filled:
                yield waiting + filled + b"\n"
                waiting = block[len(filled) + 1 :]
            else:
                waiting += block
    except BoundError as error:
        raise UnusualError(path) from error


def _faces(block: bytes, columns: Sequence[str]) -> pl.DataFrame:
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(block),
            read_options=pa_csv.ReadOptions(column_names=list(columns), use_threads=False, block_size=len(block) + 1),
            parse_options=pa_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                include_columns=[_PATH, *_NUMBERS],
                column_types={_PATH: pa.string(), **dict.fromkeys(_NUMBERS, pa.float64())},
                null_values=["NULL"],
            ),
        )
    except pa.ArrowInvalid as error:
        raise UnusualError(str(error)) from error
    if len(table) != block.count(b"\n") or any(table.column(name).null_count for name in (*SIZE, *_LABELS)):
        raise UnusualError("a line break within a line, or NULL where a number is expected")
    if any(pc.any(pc.is_nan(table.column(name))).as_py() for name in _NUMBERS):
        raise UnusualError("no number")
    paths = pl.Series(_PATH, table.column(_PATH))
    if not paths.str.contains(IMAGE_PATH).all():
        raise UnusualError("an unusual path")
    numbers = {name: table.column(name).to_numpy() for name in _NUMBERS}
    return pl.DataFrame([paths, *_boxes(numbers), *_labels(numbers)])


def _boxes(numbers: dict[str, npt.NDArray[Any]]) -> list[pl.Series]:
    """The sides of the boxes, null where no face was detected. NULL, which stands only in the corner, is NaN here."""
    columns = []
    for names, least in ((CORNER, 0), (SIZE, 1)):
        for name in names:
            values = numbers[name]
            none = (values == NO_BOX) | np.isnan(values)
            if not (none | ((values >= least) & (values <= FARTHEST_PIXEL))).all():
                raise UnusualError("a box out of range")
            columns.append(pl.Series(name, pa.array(values, mask=none)))
    return columns


def _labels(numbers: dict[str, npt.NDArray[Any]]) -> list[pl.Series]:
    codes = numbers["expression"]
    if not ((codes >= 0) & (codes < len(NATIVE)) & (codes == np.floor(codes))).all():
        raise UnusualError("an unknown expression")
    whole = codes.astype(np.int8)
    code = pl.Series("code", list(NATIVE), dtype=pl.String).gather(whole)
    columns = [
        code,
        code.replace_strict(CODES, return_dtype=pl.String).alias("expression"),
        code.replace_strict(WITHOUT_EXPRESSION, default=None, return_dtype=pl.String).alias("expression_masked"),
        code.replace_strict(NATIVE, return_dtype=pl.String).alias("native_expression"),
    ]
    for name in ("valence", "arousal"):
        values = numbers[name]
        none = values == NO_VALUE
        if not (none | (np.abs(values) <= 1)).all():
            raise UnusualError(f"{name} out of range")
        columns += [pl.Series(name, pa.array(values, mask=none)), pl.Series(f"no_{name}", none)]
    return columns
