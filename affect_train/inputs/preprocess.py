"""Image bytes to a square RGB crop: the one preprocessing that training, labelling and prediction share.

Pixels are taken as they are stored: no EXIF orientation is applied, because face boxes are in stored pixels (pictures outside of datasets have no
boxes, and `files` turns them). Of an animated picture the first frame is taken; alpha is dropped; grey becomes three equal channels; 16-bit samples
keep their upper eight bits.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from affect_data.faces.detection import Pixels
from affect_data.faces.policies import CropPolicy
from affect_data.faces.regions import Region, cut_region
from affect_data.pictures import JPEG_START, PictureError, box_misses, check_size, decode_rgb

FORMAT_VERSION = 1
POLICY_VERSION = 2
"""The format version of a preprocessing with a crop policy, which earlier releases refuse."""

MARGIN_LIMIT = 4
ROOM_LIMIT = 0.4
JPEG_REDUCTIONS = (8, 4, 2)


class Square(NamedTuple):
    """A square region of an image, in pixels; it may reach beyond the border."""

    left: float
    top: float
    side: float

    def reduced(self, factor: int) -> "Square":
        """The same region in an image that is `factor` times smaller."""
        return Square(self.left / factor, self.top / factor, self.side / factor)


@dataclass(frozen=True)
class Preprocessing:
    """How a face becomes the model's input.

    Attributes:
        image_size: side of the output, in pixels.
        margin: added on every side of the face box, as a share of the box's longer side. Without a box the whole image is taken, without margin.
        reduced_scale: decode JPEG at 1/2, 1/4 or 1/8 of its size if the crop stays at least as large as the output. This is faster, but not equal to
            full decoding (about 42 dB PSNR between the two).
        policy: how the crops were cut that it is given; None: it cuts them itself, from the whole picture by the box.
        room: share of such a crop, on each side, that is not shown; augmentation moves it into view.
    """

    image_size: int
    margin: float = 0.2
    reduced_scale: bool = True
    policy: CropPolicy | None = None
    room: float = 0.0

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size}; it must be at least 1 pixel")
        if not 0 <= self.margin <= MARGIN_LIMIT:
            raise ValueError(f"margin is {self.margin}; it must lie in [0, {MARGIN_LIMIT}]")
        if self.policy is not None and not self.policy.is_stored:
            raise ValueError(f"the policy {self.policy.name} is what `margin` says without a policy")
        if not 0 <= self.room <= ROOM_LIMIT or (self.room and self.policy is None):
            raise ValueError(f"room is {self.room}; it must lie in [0, {ROOM_LIMIT}], and be 0 without a crop policy")

    @classmethod
    def of_crops(
        cls, image_size: int, policy: CropPolicy, *, reduced_scale: bool = True, room: float = 0.0
    ) -> "Preprocessing":
        """The preprocessing of crops that a policy has cut."""
        return cls(image_size, 0.0, reduced_scale, policy, room)

    @property
    def with_room(self) -> "Preprocessing":
        """The preprocessing that shows whole crops, at the scale of this one: in the middle of a larger output lies what this one shows."""
        return replace(self, image_size=round(self.image_size / (1 - 2 * self.room)), room=0.0)

    def __call__(
        self,
        data: bytes | memoryview,
        face_box: Sequence[float] | NDArray[np.float32] | None = None,
        out: Pixels | None = None,
    ) -> Pixels:
        """The face as uint8 [S, S, 3], RGB.

        Args:
            data: an image file's bytes; a memoryview must have the format ``B``.
            face_box: x0, y0, x1, y1 in pixels of the stored image; None or NaN: the whole image.
            out: contiguous uint8 [S, S, 3] that the face is written to and that is returned; None makes a new array.

        Raises:
            PictureError: the bytes cannot be decoded, or the box does not lie in the image.
        """
        box = None if face_box is None or any(map(math.isnan, face_box)) else tuple(map(float, face_box))
        pixels = self._jpeg(data, box, out) if bytes(data[:3]) == JPEG_START else None
        if pixels is None:
            image = _decode_with_pillow(data)
            pixels = crop(image, self.square(image.width, image.height, box), self.image_size)
        if out is None or pixels is out:
            return pixels
        out[...] = pixels
        return out

    def square(self, width: int, height: int, box: tuple[float, ...] | None) -> Square:
        """The region of a `width` by `height` image that the crop shows: centred on the box, its side the box's longer side plus both margins."""
        if box is None:
            side = max(width, height) * (1 - 2 * self.room)
            return Square((width - side) / 2, (height - side) / 2, side)
        left, top, right, bottom = box
        if box_misses(box, width, height):
            raise PictureError(
                f"the face box {left:g} {top:g} {right:g} {bottom:g} does not lie in the {width}x{height} image"
            )
        side = max(right - left, bottom - top) * (1 + 2 * self.margin)
        return Square((left + right - side) / 2, (top + bottom - side) / 2, side)

    @property
    def described(self) -> str:
        """What it shows, in words."""
        if self.policy is None:
            return f"square crop around the face box, margin {self.margin:g}"
        middle = f", the middle {1 - 2 * self.room:.0%} of it" if self.room else ""
        return f"crop {self.policy.name} (version {self.policy.version}, {self.policy.digest()}){middle}"

    @property
    def shown_margin(self) -> float:
        """The margin on each side of a face in what the model sees, as a share of the face's longer side; 0 if the policy has a template."""
        return self.margin if self.policy is None else self.policy.margin

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `Preprocessing.from_dict` takes back."""
        values = asdict(self)
        if not self.room:
            del values["room"]
        if values.pop("policy") is None:
            return {"format_version": FORMAT_VERSION, **values}
        assert self.policy is not None
        return {"format_version": POLICY_VERSION, **values, "policy": self.policy.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The preprocessing that `to_dict` described.

        Raises:
            ValueError: the values come from another version of the preprocessing or of its crop policy, whose pixels would differ.
        """
        values = dict(values)
        version, policy = values.pop("format_version", None), values.pop("policy", None)
        expected = FORMAT_VERSION if policy is None else POLICY_VERSION
        if version != expected:
            raise ValueError(f"the preprocessing has format version {version}; this release makes version {expected}")
        return cls(**values, policy=None if policy is None else CropPolicy.from_dict(policy))

    def digest(self) -> str:
        """16 hexadecimal digits that identify this preprocessing: equal digests give equal pixels."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def _jpeg(self, data: bytes | memoryview, box: tuple[float, ...] | None, out: Pixels | None) -> Pixels | None:
        """The crop by the fast decoder; None if Pillow has to decode: CMYK, or bytes that the fast decoder complains about."""
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            check_size(width, height)
            if colours == "CMYK":
                return None
            square = self.square(width, height, box)
            factor = self._reduction(square.side)
            fits = square == (0, 0, width) and width == height == factor * self.image_size
            decoded: Pixels = simplejpeg.decode_jpeg(
                data,
                "RGB",
                min_height=-(-height // factor),
                min_width=-(-width // factor),
                buffer=out if fits else None,
            )
        except PictureError:
            raise
        except ValueError:
            return None
        if fits:
            return decoded if out is None else out
        return crop(Image.fromarray(decoded), square.reduced(factor), self.image_size)

    def _reduction(self, side: float) -> int:
        if self.reduced_scale:
            for factor in JPEG_REDUCTIONS:
                if side / factor >= self.image_size:
                    return factor
        return 1


def crop(image: Image.Image, square: Square, size: int) -> Pixels:
    """A square region of an RGB image, resized to uint8 [size, size, 3]; pixels beyond the border repeat those at the border.

    Args:
        image: mode RGB.
        square: the region, in pixels of `image`.
        size: side of the output.
    """
    if square == (0, 0, size) and image.size == (size, size):
        return np.asarray(image)
    return cut_region(image, Region(square.left, square.top, square.side, square.side), size, size)


def _decode_with_pillow(data: bytes | memoryview) -> Image.Image:
    try:
        return decode_rgb(data)
    except PictureError as error:
        raise PictureError(f"the image cannot be decoded: {error}") from error
