"""The columns of the table of faces: their names, types and meanings, for a model's heads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from affect_data.faces.detection import DetectedFace
from affect_train.network.model import AffectConfig

BOX: Final = ("box_left", "box_top", "box_right", "box_bottom")

PLACE: Final[Mapping[str, tuple[pa.DataType, str]]] = {
    "file": (pa.string(), "the photograph or clip, as it was named; in a folder with its place there"),
    "frame": (pa.int32(), "number of the frame in the clip, from 0; empty for a photograph"),
    "timestamp": (pa.float64(), "seconds since the first frame; empty for a photograph"),
    "face": (pa.int32(), "number of the face in the picture, from 0, the detector's surest first"),
    "track": (
        pa.int32(),
        "number of the face in the clip, from 0: equal for the same face in all frames; empty for a photograph",
    ),
    **{name: (pa.float32(), "of the face, in pixels of the upright picture; it may reach beyond it") for name in BOX},
    "score": (pa.float32(), "of the detector, 0 to 1"),
}


@dataclass(frozen=True)
class Seen:
    """A face and where it was found.

    Attributes:
        file: name of its source.
        face: its number in the picture.
        found: by the detector.
        frame: number of the frame; None in a photograph.
        timestamp: in seconds; None in a photograph.
        track: number of its track; None in a photograph.
    """

    file: str
    face: int
    found: DetectedFace
    frame: int | None = None
    timestamp: float | None = None
    track: int | None = None


class FaceColumns:
    """The columns for a model.

    Attributes:
        units: names of the action units, such as ``AU01``, in the order of the head.
        expressions: names of the classes, in the order of the head.
        has_valence: whether valence and arousal are predicted.
    """

    def __init__(self, config: AffectConfig) -> None:
        tasks = config.task_set()
        self.units = tuple(f"AU{number:02d}" for number in tasks.action_units)
        self.expressions = tuple(tasks.expressions)
        self.has_valence = bool(tasks.valence_arousal_bins)
        self.thresholds = tuple(config.thresholds)

    def described(self) -> dict[str, tuple[pa.DataType, str]]:
        """Type and meaning of each column, in order."""
        found = dict(PLACE)
        for unit, threshold in zip(self.units, self.thresholds, strict=True):
            found[unit] = (pa.float32(), "probability that the action unit is present")
            found[f"{unit}_present"] = (
                pa.int8(),
                f"1 if that probability is at least the model's threshold, {threshold:g}; otherwise 0",
            )
        if self.expressions:
            found["expression"] = (pa.string(), "the most probable expression")
            for name in self.expressions:
                found[f"expression_{name}"] = (
                    pa.float32(),
                    "probability of the expression; those of all expressions add up to 1",
                )
        if self.has_valence:
            found["valence"] = (pa.float32(), "from -1, unpleasant, to 1, pleasant")
            found["arousal"] = (pa.float32(), "from -1, calm, to 1, excited")
        return found

    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([(name, kind) for name, (kind, _) in self.described().items()])

    def row(self, seen: Seen, predicted: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        """The values of a face, by column.

        Args:
            seen: the face.
            predicted: of it, as `AffectModel.predictions` names them.
        """
        row: dict[str, Any] = {
            "file": seen.file,
            "frame": seen.frame,
            "timestamp": seen.timestamp,
            "face": seen.face,
            "track": seen.track,
            **dict(zip(BOX, seen.found.box, strict=True)),
            "score": seen.found.score,
        }
        if self.units:
            for unit, threshold, value in zip(self.units, self.thresholds, predicted["au"].tolist(), strict=True):
                row[unit], row[f"{unit}_present"] = value, int(value >= threshold)
        if self.expressions:
            shares = predicted["expression"].tolist()
            row["expression"] = self.expressions[int(np.argmax(shares))]
            row |= {f"expression_{name}": share for name, share in zip(self.expressions, shares, strict=True)}
        if self.has_valence:
            row |= {"valence": float(predicted["valence"]), "arousal": float(predicted["arousal"])}
        return row
