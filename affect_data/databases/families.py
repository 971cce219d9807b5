"""What databases share with each other: families of one source, and what is known to be bad or unusual in their files.

A family's databases show the same people, videos or pictures. The leak guard (`affect_data.leaks`) compares them by the names that they share.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from affect_data.databases.facts import Evidence, Grade


@dataclass(frozen=True)
class Family:
    """Databases of one source, read by affectkit or not.

    Attributes:
        members: their titles.
        facts: what they share, and how well that is known.
        picture: finds the name that a picture has in several of them, as its first group, in the uid of a row; None if pictures share no names.
    """

    members: tuple[str, ...]
    facts: tuple[Evidence, ...]
    picture: re.Pattern[str] | None = None


FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "affwild": Family(
            ("Aff-Wild", "Aff-Wild2"),
            (
                Evidence(
                    "the 298 videos of Aff-Wild are videos of Aff-Wild2, under the same numbers",
                    Grade.SEEN,
                    "a public list of the 548 videos of Aff-Wild2: 298 have a number for a name",
                ),
            ),
        ),
        "afew": Family(
            ("AFEW", "SFEW", "AFEW-VA"),
            (
                Evidence("the pictures of SFEW are frames of AFEW's clips", Grade.DOCUMENTED, "the owners' papers"),
                Evidence(
                    "the clips of AFEW-VA are from the films of AFEW",
                    Grade.DOCUMENTED,
                    "the paper; they share no names",
                ),
            ),
        ),
        "fer2013": Family(
            ("FER2013", "FER+"),
            (
                Evidence("FER+ labels the pictures of FER2013", Grade.DOCUMENTED, "the authors of FER+"),
                Evidence("identical pictures are common, also between the parts", Grade.SEEN, "all 35,710 pictures"),
            ),
        ),
        "disfa": Family(
            ("DISFA", "DISFA+", "FEAFA+ (part B)"),
            (
                Evidence(
                    "the nine people of DISFA+ are people of DISFA: SN001, SN003, SN004, SN007, SN009, SN010, SN013, SN025, SN027",
                    Grade.CODE,
                    "two public loaders",
                ),
                Evidence("part B of FEAFA+ labels the 27 videos of DISFA anew", Grade.DOCUMENTED, "the owners' page"),
            ),
        ),
        "bp4d": Family(
            ("BP4D-Spontaneous", "FERA 2015 (its part of BP4D)", "FERA 2017 (training)"),
            (
                Evidence(
                    "the 41 people of FERA 2015 and 2017 are those of BP4D, under its names", Grade.CODE, "two loaders"
                ),
                Evidence(
                    "BP4D+ gives the same names to other people",
                    Grade.ASSUMED,
                    "so it is no member; no file says who is who",
                ),
            ),
        ),
        "raf": Family(
            ("RAF-AU", "RAF-ML", "RAF-CE", "RAF-DB"),
            (
                Evidence(
                    "a picture of one name is one picture in RAF-AU, RAF-ML and RAF-CE",
                    Grade.SEEN,
                    "the complete lists of RAF-ML and RAF-CE, and their classes and shares",
                ),
                Evidence(
                    "RAF-CE's official partition tears bursts apart: 2240.jpg to 2255.jpg are one, and in all three parts",
                    Grade.SEEN,
                    "its complete lists; the check `duplicates` finds near copies",
                ),
                Evidence(
                    "some pictures of RAF-AU are in RAF-DB too", Grade.CODE, "one project; the names do not tell which"
                ),
            ),
            # Not those of RAF-DB: its names begin with train_ or test_.
            picture=re.compile(r"[:/](\d{4})(?:_aligned)?\.jpg$"),
        ),
    }
)
"""By `Database.source_family`; a database without relatives is not named."""


@dataclass(frozen=True)
class BadFrames:
    """Frames in which a public project found no usable face, or that are otherwise not to be trusted.

    Attributes:
        track: of the rows, as the reader names it.
        first: number of the first frame, as the reader counts.
        last: of the last one.
    """

    track: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.track} {self.first}" + (f"-{self.last}" if self.last > self.first else "")


def _from_zero(track: str, *ranges: tuple[int, int]) -> tuple[BadFrames, ...]:
    """Ranges of frames that are counted from 0, as DISFA's labels count them: from 1."""
    return tuple(BadFrames(track, first + 1, last + 1) for first, last in ranges)


BAD_FRAMES: Final[Mapping[str, tuple[BadFrames, ...]]] = MappingProxyType(
    {
        "disfa": (
            *_from_zero("SN001", (397, 419), (3189, 3242)),
            *_from_zero("SN002", (799, 825)),
            *_from_zero("SN004", (4540, 4554)),
            *_from_zero("SN006", (1348, 1404)),
            *_from_zero("SN009", (1735, 1807), (1850, 1884)),
            *_from_zero("SN011", (4528, 4532), (4829, 4844)),
            *_from_zero(
                "SN021",
                *(
                    (573, 615),
                    (984, 1163),
                    (1189, 1204),
                    (1304, 1337),
                    (1664, 1709),
                    (1861, 2476),
                    (2553, 4656),
                    (4709, 4721),
                ),
            ),
            *_from_zero("SN023", (1020, 1048), (3377, 3556), (3583, 3667), (4546, 4620), (4740, 4771), (4824, 4844)),
            *_from_zero("SN025", (4595, 4661), (4815, 4834)),
            *_from_zero("SN027", (3460, 3493), (4737, 4784)),
            *_from_zero("SN028", (1874, 1884), (4570, 4689)),
            *_from_zero("SN029", (4089, 4542)),
            *_from_zero("SN030", (938, 961), (1405, 1421), (2099, 2131), (2892, 2954)),
        ),
    }
)
"""By database. Of DISFA: the 4,670 frames that JAA-Net leaves out, because landmarks could not be found; read from its lists.

They are printed, and not masked: nothing says that their labels, which people gave, are wrong.
"""

CROSS_TASK_TRACKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "affwild2": (
            "1-30-1280x720", "107-30-640x480", "112-30-640x360", "113-60-1280x720", "114-30-1280x720",
            "115-30-1280x720", "117", "118", "119-30-848x480", "12-24-1920x1080", "120", "120-30-1280x720", "121",
            "121-24-1920x1080", "122", "122-60-1920x1080-2", "122-60-1920x1080-3", "122-60-1920x1080-4", "123",
            "123-25-1920x1080", "124-30-720x1280", "125", "125-25-1280x720", "126", "127", "128", "129",
            "129-24-1280x720", "13-30-1920x1080", "131", "131-30-1920x1080", "132", "132-30-426x240", "133", "134",
            "135", "135-24-1920x1080_left", "136", "137", "138", "140", "140-30-632x360", "141", "143", "144", "146",
            "148", "149", "150", "151", "153", "154", "155", "156", "157", "158", "160", "161", "162", "163",
            "21-24-1920x1080", "24-30-1920x1080-2", "25-25-600x480", "26-60-1280x720", "27-60-1280x720",
            "28-30-1280x720-2", "282", "45-24-1280x720", "48-30-720x1280", "53-30-360x480", "72-30-1280x720",
            "76-30-640x280", "77-30-1280x720", "8-30-1280x720", "81-30-576x360", "82-25-854x480", "84-30-1920x1080",
            "video1", "video58", "video61", "video63", "video66", "video67", "video79", "video93", "video94",
        ),
    }
)  # fmt: skip
"""By database, the tracks that are train in one task and validation in another, as a team that took part in ABAW2 lists them."""


def shared_picture(family: str) -> re.Pattern[str] | None:
    """Finds the name under which several databases of a family have the same picture, in a uid; None if there are no such names."""
    known = FAMILIES.get(family)
    return known.picture if known is not None else None


def family_lines(name: str, family: str) -> list[str]:
    """What is known of a database's relatives and of its files, a line each, for people.

    Args:
        name: of the database.
        family: its `Database.source_family`.
    """
    lines = []
    if family in FAMILIES:
        known = FAMILIES[family]
        lines.append(f"family {family}: {', '.join(known.members)}")
        lines += [f"    {fact.fact} ({fact.grade}: {fact.where})" for fact in known.facts]
    if bad := BAD_FRAMES.get(name):
        count = sum(frames.last - frames.first + 1 for frames in bad)
        lines += [
            f"known bad frames ({count:,}; no landmarks by JAA-Net; their labels count): {', '.join(map(str, bad))}"
        ]
    if tracks := CROSS_TASK_TRACKS.get(name):
        lines += [f"tracks in train for one task and in validation for another ({len(tracks)}): {', '.join(tracks)}"]
    return [*lines, ""] if lines else []
