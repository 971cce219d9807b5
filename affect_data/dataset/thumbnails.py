"""Small pictures of faces to look at: cut out by the face box, resized, re-encoded."""

import io
import math
from typing import Final

from PIL import Image, ImageDraw

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.pictures import SplitPictures
from affect_data.errors import DataError, UnknownNameError
from affect_data.pictures import PictureError, decode_rgb

MARGIN: Final = 0.3
"""Added on every side of the face box, as a share of its longer side."""


def image_bytes(folder: DatasetFolder, split: str, row: int) -> bytes | None:
    """The file of a row's picture; None if the dataset holds no pictures.

    Raises:
        VideoError: the picture is a frame of a video that is gone or has changed.
    """
    try:
        pictures = SplitPictures(folder, split)
    except (DataError, UnknownNameError):
        return None
    return bytes(pictures[row])


def face_picture(data: bytes, box: list[float], size: int, *, whole: bool = False) -> bytes:
    """A JPEG of the face, or of the whole picture with the box drawn in it.

    Args:
        data: the picture as found.
        box: x0 y0 x1 y1 in its pixels; NaN: no box.
        size: of the longest side in pixels, at most; small faces are enlarged to it.
        whole: whether to show the whole picture.

    Raises:
        DataError: the bytes are not a picture.
    """
    try:
        picture = decode_rgb(data)
    except PictureError as error:
        raise DataError(f"the picture cannot be decoded: {error}") from None
    has_box = all(math.isfinite(side) for side in box)
    if whole and has_box:
        line = max(1, round(max(picture.size) / 200))
        ImageDraw.Draw(picture).rectangle(box, outline=(20, 90, 200), width=line)
    elif has_box:
        margin = MARGIN * max(box[2] - box[0], box[3] - box[1])
        left, top = max(0, math.floor(box[0] - margin)), max(0, math.floor(box[1] - margin))
        right, bottom = math.ceil(box[2] + margin), math.ceil(box[3] + margin)
        # If the box lies outside the picture, the whole picture is shown.
        if left < min(right, picture.width) and top < min(bottom, picture.height):
            picture = picture.crop((left, top, min(right, picture.width), min(bottom, picture.height)))
    scale = size / max(picture.size)
    target = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    out = io.BytesIO()
    picture.resize(target, Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()
