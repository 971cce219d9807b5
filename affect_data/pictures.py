"""Whether the bytes of a picture can be decoded."""

import io
import warnings

from PIL import Image, UnidentifiedImageError


def undecodable_because(data: bytes) -> str:
    """Why a picture cannot be decoded; empty where it can.

    The whole picture is decoded: a truncated file opens well and fails only at its end.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                image.load()
    except MemoryError:
        raise
    except UnidentifiedImageError:
        return "not an image file"
    except Exception as error:  # damaged bytes make Pillow's decoders raise nearly anything
        return str(error) or type(error).__name__
    return ""
