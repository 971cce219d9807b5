"""The second readers in tests/oracles, slow and plain, and what a reader says cell by cell.

An oracle is a module with the database's name. Its function `rows` takes a folder and gives one dictionary for each row, with the columns of
`ROW_COLUMNS` that have a value.
"""

import importlib.util
import math
from pathlib import Path
from typing import Any

from affect_data.databases.base import TASKS, Scan

ORACLES = Path(__file__).parents[1] / "oracles"
NAMES = sorted(path.stem for path in ORACLES.glob("*.py"))
REASONS = {f"{task}_masked" for task in TASKS}


def oracle_rows(name: str, root: Path) -> list[dict[str, Any]]:
    """The rows of a database by its oracle."""
    spec = importlib.util.spec_from_file_location(f"oracle_{name}", ORACLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows: list[dict[str, Any]] = module.rows(root)
    return rows


def cells(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says, without missing values and reasons; numbers in the precision of the schema."""
    return {
        name: plain(value) for name, value in sorted(row.items()) if name not in REASONS and value not in (None, "")
    }


def plain(value: Any) -> Any:
    """Numbers as six significant digits, lists element by element."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return 0.0 if value == 0 else round(value, 5 - math.floor(math.log10(abs(value))))
    if isinstance(value, dict):
        return cells(value)
    return [plain(float(each) if isinstance(each, int) else each) for each in value]


def same_cells(scan: Scan, rows: list[dict[str, Any]]) -> None:
    """Asserts that a reader and an oracle give the same rows, cell by cell."""

    def place(row: dict[str, Any]) -> tuple[str, int, str, int]:
        return row["image"], row.get("face", -1), row["source_file"], row["source_line"]

    found = sorted((cells(row) for row in scan.rows.iter_rows(named=True)), key=place)
    expected = sorted((cells(row) for row in rows), key=place)
    assert [place(row) for row in found] == [place(row) for row in expected]
    for own, other in zip(found, expected, strict=True):
        assert own == other
