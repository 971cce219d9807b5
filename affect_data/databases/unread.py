"""Databases that affectkit does not read yet, and what is not known of their files: a reader that guesses would give wrong labels."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Unread:
    """A database without a reader.

    Attributes:
        title: its name.
        labels: what it labels, in a few words.
        unknown: what of its files is not known well enough.
    """

    title: str
    labels: str
    unknown: str


UNREAD: Final = (
    Unread(
        "AffectNet+",
        "expression, VA, people",
        "where its JSON files lie and how their keys are spelt: the one public script that reads them tries three layouts and five spellings; "
        "its soft labels are a model's, no votes",
    ),
    Unread(
        "BAH",
        "ambivalence and hesitancy",
        "what its label is here: several public loaders read split/train.txt (video,label,transcript) and split-frames/train.txt "
        "(frame,label) alike, 1 with and 0 without, but that is no action unit, no expression and no valence",
    ),
    Unread(
        "C-EXPR-DB",
        "compound expression",
        "the labels: only videos for testing and an example of a submission were seen",
    ),
    Unread(
        "CAER-S",
        "expression",
        "where the face is: pictures show whole scenes, and the boxes in use are other people's",
    ),
    Unread("EB+", "AU", "whether its files are those of BP4D+, and who its people are"),
    Unread("EMI (Hume-Vidmimic2)", "intensity of emotions", "the columns and the ranges of its files"),
    Unread(
        "FEAFA+",
        "AU, redefined",
        "the order of the 24 numbers of a frame; they are facial units of its own, not those of FACS",
    ),
    Unread("GFT", "AU with intensity", "the columns of its files, and the code of a frame that was not coded"),
)
"""In alphabetical order."""
