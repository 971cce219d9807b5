"""What AffectNet's lists say, value by value, and how well each fact about them is known."""

from typing import Final

from affect_data.databases.affectnet.forms import CODES, NATIVE, NO_BOX, NO_VALUE, WITHOUT_EXPRESSION
from affect_data.databases.facts import KEPT, Evidence, Grade, NativeValue

UNKNOWN_VALUE: Final = "not annotated"

MAPPING: Final = (
    *(NativeValue("expression", code, name) for code, name in CODES.items() if name is not None),
    *(
        NativeValue("expression", code, f"{KEPT}native: {NATIVE[code]}", reason)
        for code, reason in WITHOUT_EXPRESSION.items()
    ),
    *(
        row
        for field in ("valence", "arousal")
        for row in (
            NativeValue(field, "-1..1", "the same number"),
            NativeValue(field, str(NO_VALUE), masked=UNKNOWN_VALUE),
        )
    ),
    NativeValue("face_x, face_y", "NULL", masked="no face was detected, so there is no box"),
    NativeValue("face_width, face_height", str(NO_BOX), masked="no face was detected, so there is no box"),
)
EVIDENCE: Final = (
    Evidence(
        "the nine columns of a list, and their order", Grade.SEEN, "two lines of a real validation.csv; three loaders"
    ),
    Evidence("the classes 0 to 10 are in this order", Grade.CODE, "public loaders, and their counts over the lists"),
    Evidence(
        "only the classes 9 and 10 have -2", Grade.SEEN, "4,500 faces of a real validation list; else it is a defect"
    ),
    Evidence("a list may lack its header, or begin with #", Grade.CODE, "public loaders differ in what they skip"),
    Evidence("no box is NULL in the corner and -1 in the size", Grade.CODE, "public loaders"),
    Evidence("arrays of the npy release hold texts without dimensions", Grade.CODE, "two public loaders"),
    Evidence(
        "the validation set of the npy release has 3,999 images", Grade.CODE, "a public count over the official files"
    ),
)
