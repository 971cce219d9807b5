"""Reads the sheets of a workbook after measuring them, because the library keeps every cell in memory, also the empty ones between."""

import zipfile
import zlib
from collections import Counter
from io import BytesIO
from typing import Final
from xml.parsers import expat

import fastexcel
import numpy as np
import polars as pl

from affect_data.bounds import CELL_TEXT, CELLS, EXPANDED_BYTES, BoundError
from affect_data.databases.root import FIX_FILE, DatabaseRoot

_CHUNK: Final = 1 << 18
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_KINDS: Final = ("xl/workbook.bin", "content.xml")
"""Parts that mark binary workbooks and OpenDocument sheets, which the library would read too."""


class NotAWorkbookError(ValueError):
    """Bytes that are no workbook of Office Open XML."""


def filled_sheets(root: DatabaseRoot, path: str, expected: str) -> dict[str, pl.DataFrame]:
    """The cells of every sheet that is not empty, as strings; row 0 is the first row of the sheet. A file that is no workbook is a defect.

    Args:
        root: of the database.
        path: of the workbook, relative to the root.
        expected: the header, for the message if no cell has a value.
    """
    try:
        data = root.read_bytes(path)
        check_workbook(data, path)
        workbook = fastexcel.read_excel(data)
        sheets = {name: _cells(workbook, name) for name in workbook.sheet_names}
    except BoundError as error:
        root.defect(path, 0, error.found, error.expected, error.remedy)
        return {}
    except (NotAWorkbookError, fastexcel.FastExcelError) as error:
        root.defect(
            path,
            0,
            f"no readable workbook ({str(error).partition(chr(10))[0]})",
            "an xlsx file",
            "save the official file without its password, or as csv",
        )
        return {}
    filled = {name: cells for name, cells in sheets.items() if not cells.is_empty()}
    if not filled:
        root.defect(path, 0, "no cell with a value", expected, FIX_FILE)
    return filled


def _cells(workbook: fastexcel.ExcelReader, name: str) -> pl.DataFrame:
    cells = workbook.load_sheet(name, header_row=None, dtypes="string").to_polars()
    return cells.select(column.fill_null("") for column in cells if column.null_count() < len(column))


def check_workbook(data: bytes, name: str) -> None:
    """Refuses a workbook that cannot be read within the limits.

    Raises:
        BoundError: its parts expand too far, a sheet spans too many cells, or the cells hold too much text.
        NotAWorkbookError: the bytes are no workbook.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
            other = sorted({part.filename for part in parts} & set(_OTHER_KINDS))
            if other:
                raise NotAWorkbookError(f"it holds '{other[0]}', which is of another kind of workbook")
            # First by the sizes that the parts claim; `_measure` then finds their true sizes.
            EXPANDED_BYTES.check(name, sum(part.file_size for part in parts))
            _measure(archive, parts, name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, NotAWorkbookError):
            raise
        raise NotAWorkbookError(str(error) or type(error).__name__) from error
    except expat.ExpatError as error:
        raise NotAWorkbookError(f"its XML is broken: {error}") from error
    except zlib.error as error:
        raise NotAWorkbookError(str(error)) from error


def _measure(archive: zipfile.ZipFile, parts: list[zipfile.ZipInfo], name: str) -> None:
    expanded, measures = 0, []
    for part in parts:
        if part.compress_type not in _METHODS:
            raise NotAWorkbookError(f"its part '{part.filename}' is compressed in another way than workbooks are")
        # Read to the true end, because a part may claim to be smaller than it is.
        part.file_size, part.CRC = EXPANDED_BYTES.value() + 1, None  # type: ignore[assignment]
        measured = _Part(name)
        with archive.open(part) as file:
            while chunk := file.read(_CHUNK):
                expanded += len(chunk)
                if expanded > EXPANDED_BYTES.value():
                    raise BoundError(name, EXPANDED_BYTES)
                measured.feed(chunk, is_xml=part.filename.lower().endswith((".xml", ".rels")))
        measured.end()
        measures.append(measured)
    _refuse_repeated_sheets([part for part in measures if part.sheets], measures)
    CELLS.check(name, sum(part.cells for part in measures))
    lengths = np.array(next((part.lengths for part in measures if part.lengths), [0]))
    shared: Counter[int] = Counter()
    for measured in measures:
        shared.update(measured.shared)
    text = sum(part.text for part in measures)
    text += sum(int(lengths[index]) * times for index, times in shared.items() if 0 <= index < len(lengths))
    CELL_TEXT.check(name, text)


def _refuse_repeated_sheets(workbooks: list["_Part"], parts: list["_Part"]) -> None:
    """Refuses workbooks in which several sheets share a part: it would be read once for each."""
    targets = {key: target for part in parts for key, target in part.targets.items()}
    named = [targets.get(key, key) for part in workbooks for key in part.sheets]
    if len(set(named)) < len(named):
        raise NotAWorkbookError("two of its sheets are one and the same part")


class _Part:
    """Measures one part while its XML is read.

    Attributes:
        sheets: identifiers of the sheets that it lists.
        targets: the part of each sheet, by identifier.
        lengths: characters of each shared text.
        shared: how often each shared text is used.
        text: characters that are in the cells themselves.
    """

    def __init__(self, name: str) -> None:
        self.sheets: list[str] = []
        self.targets: dict[str, str] = {}
        self.lengths: list[int] = []
        self.shared: Counter[int] = Counter()
        self.text = 0
        self._name = name
        self._most_text = CELL_TEXT.value()
        self._parser: expat.XMLParserType | None = None
        self._started = False
        self._row = self._column = 0
        self._last_row = self._last_column = 0
        self._in_cell = self._is_shared = self._in_shared = False
        self._held = ""

    @property
    def cells(self) -> int:
        """The number of cells up to the last row and column, empty ones included."""
        return self._last_row * self._last_column

    def feed(self, chunk: bytes, *, is_xml: bool) -> None:
        """Takes the next bytes; a part that neither looks like XML nor is declared as such is only counted."""
        if not self._started:
            self._started = True
            if is_xml or chunk.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
                self._parser = expat.ParserCreate("utf-8")
                self._parser.buffer_text = True
                self._parser.StartElementHandler = self._start
                self._parser.EndElementHandler = self._finish
                self._parser.CharacterDataHandler = self._characters
                self._parser.StartDoctypeDeclHandler = _refuse_declarations
        if self._parser is not None:
            self._parser.Parse(chunk, False)  # noqa: FBT003 - the library's signature

    def end(self) -> None:
        """Notes that no more bytes follow."""
        if self._parser is not None:
            self._parser.Parse(b"", True)  # noqa: FBT003 - the library's signature

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "c":
            self._start_cell(attributes.get("r"))
            self._in_cell, self._is_shared, self._held = True, attributes.get("t") == "s", ""
        elif tag == "row":
            found = attributes.get("r", "")
            self._row = int(found) if found.isdecimal() and len(found) < 10 else self._row + 1
            self._column = 0
        elif tag == "si":
            self._in_shared = True
            self.lengths.append(0)
        elif tag == "sheet":
            self.sheets.append(next((value for key, value in attributes.items() if key.endswith(":id")), ""))
        elif tag == "Relationship" and "sheet" in attributes.get("Type", ""):
            target = attributes.get("Target", "").lower().removeprefix("/").removeprefix("xl/")
            self.targets[attributes.get("Id", "")] = target

    def _start_cell(self, reference: str | None) -> None:
        self._column += 1
        if reference is not None:
            letters = reference.rstrip("0123456789")
            column = 0
            for letter in letters.upper()[:8]:
                column = column * 26 + ord(letter) - ord("A") + 1
            digits = reference[len(letters) :]
            self._column = max(column, 1)
            self._row = int(digits[:10] or 1)
        if self._row > self._last_row or self._column > self._last_column:
            self._last_row, self._last_column = max(self._last_row, self._row), max(self._last_column, self._column)
            CELLS.check(self._name, self._last_row * self._last_column)

    def _finish(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "c":
            if self._is_shared and self._held.strip().isdecimal():
                self.shared[int(self._held.strip()[:10])] += 1
            self._in_cell = False
        elif tag == "si":
            self._in_shared = False

    def _characters(self, text: str) -> None:
        if self._in_cell:
            self.text += len(text)
            if self._is_shared:
                self._held += text
            if self.text > self._most_text:
                raise BoundError(self._name, CELL_TEXT)
        elif self._in_shared:
            self.lengths[-1] += len(text)


def _refuse_declarations(*_: object) -> None:
    raise NotAWorkbookError("its XML declares a document type, which no workbook does")
