"""Small inputs that could expand to gigabytes, and a program that reads each and measures its peak of memory."""

import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

WORKBOOK_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{sheets}</sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
    'Target="worksheets/sheet1.xml"/></Relationships>',
}
MEMORY = """
import json, sys
from pathlib import Path
import numpy, polars, fastexcel
from bombs import read_as, peak_of
print(json.dumps({name: peak_of(lambda: read_as(kind, Path(path))) for name, kind, path in json.load(sys.stdin)}))
"""
"""Reads lines of (name, kind, path) and prints what was said of each, and how many bytes more than before it took at its peak."""


def workbook(path: Path, rows: Iterator[str] | list[str], shared: str = "", sheets: int = 1) -> Path:
    """A workbook of one part with rows of XML, which so many sheets are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = "".join(f'<sheet name="s{number}" sheetId="{number}" r:id="r1"/>' for number in range(1, sheets + 1))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in WORKBOOK_PARTS.items():
            archive.writestr(name, text.replace("{sheets}", named))
        if shared:
            archive.writestr("xl/sharedStrings.xml", f"<sst><si><t>{shared}</t></si></sst>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(b"<worksheet><sheetData>")
            for row in rows:
                sheet.write(row.encode())
            sheet.write(b"</sheetData></worksheet>")
    return path


def in_line(text: str) -> str:
    return f'<row><c t="inlineStr"><is><t>{text}</t></is></c></row>'


def lying_array(path: Path, shape: str = "(100000000000,)", kind: str = "'<f8'") -> Path:
    """A file .npy whose header promises more than it holds."""
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return path


def emotionet(root: Path) -> Path:
    """Where the list of an EmotioNet release belongs."""
    return root / "list.xlsx"


def clip(root: Path, text: str) -> Path:
    """An AFEW-VA release of one clip with the given labels."""
    folder = root / "01/001"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "00000.png")
    (folder / "001.json").write_text(text)
    return root


def expw_list(root: Path, write: Callable[[Path], object]) -> Path:
    """An ExpW release whose list is written by a function."""
    (root / "label").mkdir(parents=True)
    (root / "image/origin").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(root / "image/origin/a.jpg")
    write(root / "label/label.lst")
    return root


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)


# ---------------------------------------------------------------- in a process of its own


def read_as(kind: str, path: Path) -> str:
    """What is said of a file, or of the root of a database."""
    from affect_data.bounds import PICTURE_BYTES, parse_array, read_file, read_json
    from affect_data.databases.emotionet.lists import sheet_lines
    from affect_data.databases.registry import DATABASES
    from affect_data.databases.root import DatabaseRoot
    from affect_data.errors import AffectError
    from affect_data.pictures import decode_rgb
    from affect_data.yaml12 import NotYamlError, read_yaml

    def workbook_lines() -> DatabaseRoot:
        root = DatabaseRoot(path.parent)
        sheet_lines(root, path.name)
        return root

    def database() -> DatabaseRoot:
        root = DatabaseRoot(path)
        DATABASES[kind]().read(root)
        return root

    readers: dict[str, Callable[[], object]] = {
        "workbook": workbook_lines,
        "json": lambda: read_json(path),
        "array": lambda: parse_array(path.read_bytes(), path.name),
        "yaml": lambda: read_yaml(path.read_text()),
        "picture": lambda: decode_rgb(read_file(path, PICTURE_BYTES, path.name)),
    }
    try:
        found = readers.get(kind, database)()
    except (AffectError, NotYamlError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "; ".join(map(str, found.defects)) if isinstance(found, DatabaseRoot) else "read"


def peak_of(read: Callable[[], str]) -> tuple[str, int]:
    """What was said, and the bytes that it took at its peak."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmHWM")
    said = read()
    return said, _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))
