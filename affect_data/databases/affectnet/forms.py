"""The columns, codes and values of AffectNet's lists."""

from typing import Final

LIST_COLUMNS: Final = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
CORNER: Final = ("face_x", "face_y")
SIZE: Final = ("face_width", "face_height")
IMAGE_PATH: Final = r"^\w+/[^/\\]+\.\w+$"
NO_VALUE: Final = -2
NO_BOX: Final = -1
UNCERTAIN, NO_FACE = "9", "10"
WITHOUT_EXPRESSION: Final = {"8": "none", UNCERTAIN: "uncertain", NO_FACE: "no face"}
NAMES: Final = (
    "Neutral",
    "Happy",
    "Sad",
    "Surprise",
    "Fear",
    "Disgust",
    "Anger",
    "Contempt",
    "None",
    "Uncertain",
    "No-Face",
)
NATIVE: Final = {str(code): name for code, name in enumerate(NAMES)}
"""The classes as AffectNet calls them, by code."""

EXPRESSIONS: Final = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""The unified classes by code; the other codes are no expression."""
CODES: Final[dict[str, str | None]] = {
    **{str(code): name for code, name in enumerate(EXPRESSIONS)},
    **dict.fromkeys(WITHOUT_EXPRESSION),
}
"""From each code to the unified class, or None."""
