"""What bytes are by how they begin: pictures and pickles; and the part of a picture that holds words."""

import re
from typing import Final

_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_OLD_PICKLE: Final = re.compile(rb"[(\]}l0-9pd\n]{0,8}c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n")
"""How a pickle of protocol 0 or 1 begins that would call something: the name of a module, then that of a function."""

_JPEG: Final = b"\xff\xd8"
_SCAN, _END = 0xDA, 0xD9


def is_picture(data: bytes) -> bool:
    """Whether bytes begin as a file of a picture does."""
    return data.startswith(_PICTURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def is_pickle(data: bytes) -> bool:
    """Whether bytes begin as a pickle does, or as the archive that torch writes around one."""
    if len(data) > 2 and data[0] == 0x80 and data[1] in range(2, 6):
        return True
    if data[:2] == b"PK" and b"data.pkl" in data:
        return True
    return data.endswith(b".") and _OLD_PICKLE.match(data) is not None


def words_of(picture: bytes) -> bytes:
    """The segments of a JPEG file before its pixels, and what follows them; of other pictures everything."""
    if not picture.startswith(_JPEG):
        return picture
    place = len(_JPEG)
    while place + 4 <= len(picture) and picture[place] == 0xFF and picture[place + 1] not in (_SCAN, _END):
        place += 2 + int.from_bytes(picture[place + 2 : place + 4], "big")
    return picture[:place] + picture[max(picture.rfind(b"\xff\xd9"), place) :]
