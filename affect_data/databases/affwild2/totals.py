"""What complete copies of the editions hold, and other names of the editions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from affect_data.databases.base import Task
from affect_data.databases.totals import Totals

LABEL_NAMES: Final[Mapping[Task, str]] = MappingProxyType(
    {"au": "action units", "expression": "an expression", "va": "valence and arousal"}
)
_SINCE_THIRD: Final = {
    "train frames with an expression": 597_361,
    "validation frames with an expression": 284_230,
    "train tracks with an expression": 248,
    "validation tracks with an expression": 70,
}
_SINCE_FOURTH: Final = Totals(
    {
        "train frames with valence and arousal": 103_917,
        "train frames with an expression": 90_645,
        "train frames with action units": 103_316,
        "validation frames with valence and arousal": 26_876,
        "validation frames with an expression": 15_440,
        "validation frames with action units": 26_876,
    },
    "outputs of public code over the official files",
)
TOTALS: Final[Mapping[str, Totals]] = MappingProxyType(
    {
        "abaw3": Totals(
            _SINCE_THIRD
            | {
                "train frames with valence and arousal": 1_581_184,
                "validation frames with valence and arousal": 344_714,
                "validation tracks with valence and arousal": 76,
                "train frames with action units": 1_359_690,
                "validation frames with action units": 445_845,
                "validation tracks with action units": 105,
            },
            "outputs of public code over the official files",
        ),
        **{
            edition: Totals(
                _SINCE_THIRD
                | {
                    "validation frames with valence and arousal": 382_021,
                    "validation frames with action units": 445_845,
                },
                "outputs of public code over the official files",
            )
            for edition in ("abaw5", "abaw6")
        },
        "abaw8": Totals(_SINCE_THIRD, "outputs of public code over the official files"),
        "abaw4_mtl": _SINCE_FOURTH,
        "abaw7_mtl": _SINCE_FOURTH,
    }
)
EDITION_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ABAW4": "abaw4_mtl",
        "ABAW7": "abaw7_mtl",
        "ABAW11": "abaw11_mtl",
        **{f"{ordinal} ABAW": f"abaw{number}" for number, ordinal in ((1, "1st"), (2, "2nd"), (3, "3rd"))},
        **{f"{number}th ABAW": f"abaw{number}" for number in (5, 6, 8, 9, 10)},
        **{f"{number}th ABAW": f"abaw{number}_mtl" for number in (4, 7, 11)},
    }
)
"""Other names of the editions; the fourth, the seventh and the eleventh exist only in the multi-task form."""
