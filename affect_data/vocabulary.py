"""Every order, name and alias of labels: action units, expressions, compound expressions and how they relate.

This is the only module that defines an order. Classes go from one database to another by name, never by integer.

Sources:
    FACS numbers and names: Ekman, Friesen & Hager, *Facial Action Coding System* (2002).
    Expression to action-unit relations: Du, Tao & Martinez, *Compound facial expressions of emotion*, PNAS 111 (2014), Table 1.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

ACTION_UNIT_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "inner brow raiser",
        2: "outer brow raiser",
        4: "brow lowerer",
        5: "upper lid raiser",
        6: "cheek raiser",
        7: "lid tightener",
        8: "lips toward each other",
        9: "nose wrinkler",
        10: "upper lip raiser",
        11: "nasolabial deepener",
        12: "lip corner puller",
        13: "sharp lip puller",
        14: "dimpler",
        15: "lip corner depressor",
        16: "lower lip depressor",
        17: "chin raiser",
        18: "lip pucker",
        19: "tongue show",
        20: "lip stretcher",
        21: "neck tightener",
        22: "lip funneler",
        23: "lip tightener",
        24: "lip pressor",
        25: "lips part",
        26: "jaw drop",
        27: "mouth stretch",
        28: "lip suck",
        29: "jaw thrust",
        30: "jaw sideways",
        31: "jaw clencher",
        32: "lip bite",
        33: "cheek blow",
        34: "cheek puff",
        35: "cheek suck",
        36: "tongue bulge",
        37: "lip wipe",
        38: "nostril dilator",
        39: "nostril compressor",
        43: "eyes closed",
        45: "blink",
    }
)

ACTION_UNITS: Final[tuple[int, ...]] = tuple(ACTION_UNIT_NAMES)
"""FACS numbers in slot order: slot ``i`` of the columns ``au`` and ``au_intensity`` is action unit ``ACTION_UNITS[i]``."""

ACTION_UNIT_SLOTS: Final[Mapping[int, int]] = MappingProxyType(
    {number: slot for slot, number in enumerate(ACTION_UNITS)}
)
"""FACS number to slot."""

FRAME_SCOPE: Final = "frame"
CLIP_SCOPE: Final = "clip"
LABEL_SCOPES: Final = (FRAME_SCOPE, CLIP_SCOPE)
"""What the labels of a row hold for: its picture, or the whole clip that its frames are of."""

SIDES: Final[tuple[str, ...]] = ("left", "right", "both", "top", "bottom")
"""Where in the face an action unit is: on the side of the person's own left or right hand or on both, or at the upper or lower lip alone."""

EXPRESSIONS: Final[tuple[str, ...]] = (
    "neutral",
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "contempt",
    "other",
)

COMPOUND_EXPRESSIONS: Final[tuple[str, ...]] = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "fearfully disgusted",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
    "happily fearful",
    "happily sad",
    "appalled",
    "hatred",
    "awed",
)

EXPRESSION_SETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aff_wild2_7": EXPRESSIONS[:7],
        "aff_wild2_8": (*EXPRESSIONS[:7], "other"),
        "basic_8": EXPRESSIONS[:8],
        "all_9": EXPRESSIONS,
    }
)
"""Named class sets that a model's expression head can have."""

EXPRESSION_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "angry": "anger",
        "disgusted": "disgust",
        "fearful": "fear",
        "afraid": "fear",
        "happy": "happiness",
        "joy": "happiness",
        "sad": "sadness",
        "surprised": "surprise",
        "natural": "neutral",
    }
)

EXPRESSION_ACTION_UNITS: Final[Mapping[str, Mapping[int, float]]] = MappingProxyType(
    {
        "happiness": {12: 1.0, 25: 1.0, 6: 0.51},
        "sadness": {4: 1.0, 15: 1.0, 1: 0.60, 6: 0.50, 11: 0.26, 17: 0.67},
        "fear": {1: 1.0, 4: 1.0, 20: 1.0, 25: 1.0, 2: 0.57, 5: 0.63, 26: 0.33},
        "anger": {4: 1.0, 7: 1.0, 24: 1.0, 10: 0.26, 17: 0.52, 23: 0.29},
        "surprise": {1: 1.0, 2: 1.0, 25: 1.0, 26: 1.0, 5: 0.66},
        "disgust": {9: 1.0, 10: 1.0, 17: 1.0, 4: 0.31, 24: 0.26},
    }
)
"""Action units of each basic expression: 1.0 if more than 70 % of subjects show the unit (prototypical), otherwise the share that does."""

COMPOUND_EXPRESSION_ACTION_UNITS: Final[Mapping[str, Mapping[int, float]]] = MappingProxyType(
    {
        "happily surprised": {1: 1.0, 2: 1.0, 12: 1.0, 25: 1.0, 5: 0.64, 26: 0.67},
        "happily disgusted": {10: 1.0, 12: 1.0, 25: 1.0, 4: 0.32, 6: 0.61, 9: 0.59},
        "sadly fearful": {1: 1.0, 4: 1.0, 20: 1.0, 25: 1.0, 2: 0.46, 5: 0.24, 6: 0.34, 15: 0.30},
        "sadly angry": {4: 1.0, 15: 1.0, 6: 0.26, 7: 0.48, 11: 0.20, 17: 0.50},
        "sadly surprised": {1: 1.0, 4: 1.0, 25: 1.0, 26: 1.0, 2: 0.27, 6: 0.31},
        "sadly disgusted": {4: 1.0, 10: 1.0, 1: 0.49, 6: 0.61, 9: 0.20, 11: 0.35, 15: 0.54, 17: 0.47, 25: 0.43},
        "fearfully angry": {4: 1.0, 20: 1.0, 25: 1.0, 5: 0.40, 7: 0.39, 10: 0.30, 11: 0.33},
        "fearfully surprised": {1: 1.0, 2: 1.0, 5: 1.0, 20: 1.0, 25: 1.0, 4: 0.47, 10: 0.35, 11: 0.22, 26: 0.51},
        "fearfully disgusted": {
            1: 1.0,
            4: 1.0,
            10: 1.0,
            20: 1.0,
            25: 1.0,
            2: 0.64,
            5: 0.50,
            6: 0.26,
            9: 0.28,
            15: 0.33,
        },
        "angrily surprised": {4: 1.0, 25: 1.0, 26: 1.0, 5: 0.35, 7: 0.50, 10: 0.34},
        "angrily disgusted": {4: 1.0, 10: 1.0, 17: 1.0, 7: 0.60, 9: 0.57, 24: 0.36},
        "disgustedly surprised": {1: 1.0, 2: 1.0, 5: 1.0, 10: 1.0, 4: 0.45, 9: 0.37, 17: 0.66, 24: 0.33},
        "appalled": {4: 1.0, 10: 1.0, 6: 0.25, 9: 0.56, 17: 0.67, 24: 0.36},
        "hatred": {4: 1.0, 10: 1.0, 7: 0.57, 9: 0.27, 17: 0.63, 24: 0.37},
        "awed": {1: 1.0, 2: 1.0, 5: 1.0, 25: 1.0, 4: 0.21, 20: 0.62, 26: 0.56},
    }
)
"""Action units of a compound expression, as in `EXPRESSION_ACTION_UNITS`; Du 2014 has no "happily fearful" and no "happily sad"."""

COMPOUND_EXPRESSION_PARTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "happily surprised": ("happiness", "surprise"),
        "happily disgusted": ("happiness", "disgust"),
        "sadly fearful": ("sadness", "fear"),
        "sadly angry": ("sadness", "anger"),
        "sadly surprised": ("sadness", "surprise"),
        "sadly disgusted": ("sadness", "disgust"),
        "fearfully angry": ("fear", "anger"),
        "fearfully surprised": ("fear", "surprise"),
        "fearfully disgusted": ("fear", "disgust"),
        "angrily surprised": ("anger", "surprise"),
        "angrily disgusted": ("anger", "disgust"),
        "disgustedly surprised": ("disgust", "surprise"),
        "happily fearful": ("happiness", "fear"),
        "happily sad": ("happiness", "sadness"),
    }
)
"""The two basic expressions of a compound one, in the order of its name; appalled, hatred and awed are not made of two."""


class NotInVocabularyError(ValueError):
    """An expression or action unit that is not in the vocabulary. It is a `ValueError`, so that mistakes in a recipe are shown with their line."""


def expression_named(name: str) -> str:
    """The vocabulary's name for an expression given by any known spelling.

    Args:
        name: for example ``"Happy"``, ``"ANGRY"`` or ``"sadness"``.

    Raises:
        NotInVocabularyError: no expression has this name or alias.
    """
    spelling = name.strip().lower()
    canonical = EXPRESSION_ALIASES.get(spelling, spelling)
    if canonical not in EXPRESSIONS:
        raise NotInVocabularyError(f"{name!r} is no expression; the vocabulary has {', '.join(EXPRESSIONS)}")
    return canonical


def refuse_repeated(names: Sequence[str]) -> None:
    """Refuses a list of classes in which two are the same, in whatever spelling: two codes would mean one class.

    Raises:
        ValueError: names them.
    """
    spelt = [" ".join(name.lower().split()) for name in names]
    meant = [EXPRESSION_ALIASES.get(name, name) for name in spelt]
    if twice := [name for name, one in zip(names, meant, strict=True) if meant.count(one) > 1]:
        raise ValueError(f"names: {', '.join(twice)} are the same class; a list gives each code a class of its own")


def slot_of(action_unit: int) -> int:
    """The slot of an action unit in the columns ``au`` and ``au_intensity``.

    Raises:
        NotInVocabularyError: the vocabulary has no such action unit.
    """
    if action_unit not in ACTION_UNIT_SLOTS:
        raise NotInVocabularyError(
            f"AU{action_unit} is no action unit of the vocabulary ({', '.join(map(str, ACTION_UNITS))})"
        )
    return ACTION_UNIT_SLOTS[action_unit]


def unit_name(unit: int) -> str:
    """What an action unit is called in features, such as ``AU12``."""
    return f"AU{unit}"
