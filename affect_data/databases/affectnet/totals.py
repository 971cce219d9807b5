"""What complete copies of AffectNet hold."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from affect_data.databases.totals import Totals

TRAIN_FACES: Final = {
    "neutral": 74_874,
    "happiness": 134_415,
    "sadness": 25_459,
    "surprise": 14_090,
    "fear": 6_378,
    "disgust": 3_803,
    "anger": 24_882,
    "contempt": 3_750,
}
"""Faces of the training set by expression, in both releases."""
TRAIN_TOTALS: Final = {
    "train faces with an expression": sum(TRAIN_FACES.values()),
    **{f"train faces of {name}": count for name, count in TRAIN_FACES.items()},
}
TOTALS: Final[Mapping[str, Totals]] = MappingProxyType(
    {
        "csv": Totals(
            TRAIN_TOTALS
            | {"validation faces with an expression": 500 * len(TRAIN_FACES)}
            | {f"validation faces of {name}": 500 for name in TRAIN_FACES},
            "counts of public code over the official lists",
        ),
        "npy": Totals(
            TRAIN_TOTALS | {"validation faces with an expression": 3_999},
            "counts of public code over the official files",
        ),
    }
)
