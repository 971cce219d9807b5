"""What the grid shows of a face: all its labels at a glance."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from affect_data.viewing.table import LISTED, LabelTable

COLUMNS: Final = (
    *("uid", "database", "split", "subject", "track", "frame", "expression", "compound", "valence", "arousal"),
    *("copies", "severity", "score"),
)


def at_a_glance(table: LabelTable, rows: npt.NDArray[np.uint32]) -> list[dict[str, Any]]:
    """The labels of some rows as plain values, in their order.

    Returns:
        For each row: ``row``, ``uid``, ``database``, ``split``, ``subject``, ``track``, ``frame``; ``expression`` and ``compound`` (codes, -1 none);
        ``va`` (two numbers, or None); ``present`` (numbers of the action units), ``absent`` and ``missing`` (how many);
        ``intensity`` by action unit; ``copies``;
        ``severity`` (a rank) and ``score`` of the worst finding, or None; ``checks`` that found it.
    """
    frame = table.frame[rows.tolist()]
    listed = [LISTED] if LISTED in frame.columns else []
    basic = frame.select(*COLUMNS, *listed).rows(named=True)
    units = frame.select(f"au{number}" for number in table.units).rows()
    intensities = frame.select(f"intensity{number}" for number in table.intensities).rows()
    scores = frame.select(f"finding.{check}" for check in table.checks).rows()
    found = []
    for i, row in enumerate(basic):
        coded = dict(zip(table.units, units[i] if units else (), strict=False))
        levels = dict(zip(table.intensities, intensities[i] if intensities else (), strict=False))
        checks = zip(table.checks, scores[i] if scores else (), strict=False)
        valence, arousal, score = row.pop("valence"), row.pop("arousal"), row.pop("score")
        found.append(
            {
                "row": int(rows[i]),
                **row,
                "va": None if valence is None or arousal is None else [_short(valence), _short(arousal)],
                "present": [number for number, value in coded.items() if value == 1],
                "absent": sum(value == 0 for value in coded.values()),
                "missing": sum(value == -1 for value in coded.values()),
                "intensity": {number: _short(value) for number, value in levels.items() if value is not None},
                "score": None if score is None else _short(score),
                "checks": [name for name, value in checks if value is not None],
            }
        )
    return found


def _short(value: float) -> float:
    return 0.0 if math.isnan(value) else round(value, 3)
