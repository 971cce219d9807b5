"""What columns are usually called, and which ranges and codes are usual; only proposals are made of it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from affect_data.vocabulary import ACTION_UNITS

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "image": (
        "image", "img", "path", "file", "filename", "imagepath", "imagefile", "imagename", "filepath", "pth", "picture", "photo",
        "subdirectoryfilepath", "framepath", "imgpath", "imgname",
    ),
    "subject": ("subject", "subjectid", "sub", "subid", "person", "personid", "identity", "participant", "participantid", "user", "userid", "actor"),
    "track": ("track", "trackid", "video", "videoid", "videoname", "clip", "clipid", "sequence", "sequenceid"),
    "frame": ("frame", "frameid", "frameindex", "framenumber", "framenum", "frameno"),
    "face": ("face", "faceid", "faceindex", "facenumber"),
    "timestamp": ("timestamp", "time", "seconds"),
    "split": ("split", "usage", "set", "subset", "partition", "part", "phase"),
    "expression": ("expression", "emotion", "expr", "exp", "label", "class", "category", "emotionlabel", "expressionlabel", "target", "affect"),
    "valence": ("valence", "val", "v"),
    "arousal": ("arousal", "aro", "a"),
    "age": ("age", "ageyears", "ageinyears"),
    "sex": ("sex", "gender"),
    "ethnicity": ("ethnicity", "race"),
}  # fmt: skip
"""What a column may be called, in lower case and letters and digits alone, by what it then holds."""

PICTURE: Final = r"(?i)\.(jpe?g|png|bmp|webp|tiff?)$"
FEWEST_NAMED: Final = 3
"""So many columns of numbers that are called after expressions are votes."""

UNIT: Final = re.compile(r"au[ _-]?0*(\d{1,2})(?:[ _-]?([a-z]+))?", re.IGNORECASE)
KINDS_OF_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("r", "int", "intensity", "level"), "intensity"),
    **dict.fromkeys(("c", "occ", "occurrence", "presence", "bin", "binary", "present"), "occurrence"),
}

RANGES: Final = (
    (-1.0, 1.0),
    (0.0, 1.0),
    (1.0, 5.0),
    (1.0, 7.0),
    (1.0, 9.0),
    (-5.0, 5.0),
    (0.0, 10.0),
    (-10.0, 10.0),
    (0.0, 100.0),
    (-1000.0, 1000.0),
)
"""Ranges of valence and arousal that are in use; the first that holds all values is proposed."""

SENTINELS: Final = (-1.0, -2.0, -5.0, -9.0, -10.0, -99.0, -999.0, 9.0, 99.0, 999.0)
"""Numbers that stand for "no label" in many files."""

FAR: Final = 99

BOXES: Final = (
    (("x0", "y0", "x1", "y1"), "corners"), (("x1", "y1", "x2", "y2"), "corners"), (("xmin", "ymin", "xmax", "ymax"), "corners"),
    (("left", "top", "right", "bottom"), "corners"), (("facex", "facey", "facewidth", "faceheight"), "corner_and_size"),
    (("x", "y", "w", "h"), "corner_and_size"), (("x", "y", "width", "height"), "corner_and_size"),
    (("left", "top", "width", "height"), "corner_and_size"),
)  # fmt: skip
LISTS_OF_BOXES: Final = ("bbox", "box", "facebox", "boundingbox")


def bare_name(name: str) -> str:
    """A name in lower case, with letters and digits alone."""
    return "".join(sign for sign in name.lower() if sign.isalnum())


def role_of(column: str) -> str | None:
    """What a column of this name usually holds; None if it says nothing."""
    return next((role for role, names in ROLES.items() if bare_name(column) in names), None)


def unit_of(column: str) -> tuple[int, str | None] | None:
    """The action unit that a column is called after, and ``occurrence`` or ``intensity`` if its name says which; None if it is none."""
    match = UNIT.fullmatch(column)
    if match is None or int(match[1]) not in ACTION_UNITS:
        return None
    ending = (match[2] or "").lower()
    return None if ending and ending not in KINDS_OF_UNITS else (int(match[1]), KINDS_OF_UNITS.get(ending))


def range_of(values: Sequence[float]) -> tuple[float, float]:
    """The first usual range that holds the values without those that usually stand for no label; that of the values if none does.

    A small number such as 9 counts as such a value only beside numbers from -1 to 1: beside others it may be one of them.
    """
    known = [value for value in values if abs(value) < FAR or value not in SENTINELS] or list(values) or [0.0]
    near = [value for value in known if value not in SENTINELS or abs(value) <= 1]
    if near and max(map(abs, near)) <= 1:
        known = near
    fitting = (pair for pair in RANGES if pair[0] <= min(known) and max(known) <= pair[1])
    return next(fitting, (min(known), max(known)))


def box_of(columns: Sequence[str]) -> tuple[list[str], str] | None:
    """The four columns of face boxes, and how they are written; None if there are none."""
    by_name = {bare_name(column): column for column in reversed(columns)}
    for names, how in BOXES:
        if all(name in by_name for name in names):
            return [by_name[name] for name in names], how
    for column in columns:
        whole = column.removesuffix("[0]")
        if whole != column and bare_name(whole) in LISTS_OF_BOXES and f"{whole}[4]" not in columns:
            return [f"{whole}[{place}]" for place in range(4)], "corners"
    return None
