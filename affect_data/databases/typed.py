"""Parses lines of plain numbers at once, into typed arrays.

The strict reader (`DatabaseRoot.table` and what parses its texts) can say of every line what is wrong with it, and takes ten times as long. So
readers of millions of lines try this first. It accepts only what needs no judgement: digits, points, minus signs and separators, as many fields in
every line as there are columns. On anything else it raises `UnusualError`, and the strict reader has to look at the files.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from affect_data.bounds import BoundError, read_lines_file
from affect_data.databases.root import DatabaseRoot

_PLAIN: Final = b"0123456789.,-\n"
_MARK: Final = b"\xef\xbb\xbf"


class UnusualError(Exception):
    """Files that are not as plain as expected, whether or not they contradict their documentation."""


def plain_lines(root: DatabaseRoot, path: str, skip_lines: int = 0) -> bytes:
    """The lines of an annotation file without those at its top and without line ends at its end; empty if there are no more.

    Raises:
        OutsideError: the path leaves the folder.
        UnusualError: the file exceeds a limit, or holds anything but numbers.
    """
    root.confined.check(path)
    try:
        data = read_lines_file(root.path / path, path).removeprefix(_MARK)
    except BoundError as error:
        raise UnusualError(path) from error
    root.annotation_files.add(path)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    data = data.rstrip(b"\n")
    for _ in range(skip_lines):
        data = data.partition(b"\n")[2]
    if data.translate(None, _PLAIN):
        raise UnusualError(path)
    return data


def line_counts(texts: Iterable[bytes]) -> npt.NDArray[np.int64]:
    """How many lines each of some texts has."""
    return np.array([text.count(b"\n") + 1 if text else 0 for text in texts], np.int64)


def typed_columns(texts: Sequence[bytes], types: Mapping[str, pa.DataType]) -> dict[str, npt.NDArray[Any]]:
    """The columns of all texts together, one value for each line.

    Args:
        texts: from `plain_lines`.
        types: of each column, in the order of the fields.

    Raises:
        UnusualError: a line has another number of fields, or a field is no number of its column's type.
    """
    filled = [text for text in texts if text]
    if not filled:
        return {name: np.empty(0, kind.to_pandas_dtype()) for name, kind in types.items()}
    data = b"\n".join(filled) + b"\n"
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            read_options=pa_csv.ReadOptions(column_names=list(types), use_threads=False, block_size=len(data) + 1),
            parse_options=pa_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(column_types=dict(types), null_values=[], check_utf8=False),
        )
    except pa.ArrowInvalid as error:
        raise UnusualError(str(error)) from error
    if len(table) != line_counts(filled).sum():
        raise UnusualError("an empty line")
    return {name: table.column(name).to_numpy() for name in types}


def gathered(texts: Sequence[str], codes: npt.NDArray[np.integer]) -> pl.Series:
    """The text of each code, its position; null for a code below 0."""
    places = pl.Series(pa.array(codes.astype(np.uint32), mask=codes < 0))
    return pl.Series(list(texts), dtype=pl.String).gather(places)
