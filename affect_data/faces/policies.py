"""Crop policies: the few named ways to cut a face out of a picture. Training, labelling and prediction cut by the same code.

A policy decides region, turn, size, interpolation and encoding. All of this is in `CropPolicy.to_dict`, whose digest is hashed into every run.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from affect_data.errors import UnknownNameError
from affect_data.faces.alignment import aligned, similarity
from affect_data.faces.detection import DetectedFace, Pixels
from affect_data.faces.regions import Region, cut_region
from affect_data.pictures import PictureError, box_misses

BOX: Final = "box"
"""The policy that training applies to `image` and `face_box` without stored crops."""

LONGEST: Final = 448
"""Longer side, in pixels, down to which the crops of policies without a size of their own are reduced."""

Template = tuple[tuple[float, float], ...]

ARCFACE_112: Final[Template] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Eyes, tip of the nose and corners of the mouth in the 112 x 112 picture of ArcFace (Deng et al. 2019) and InsightFace; left as seen in it."""


class NoCropError(PictureError):
    """A face that a policy cannot cut out: its box misses the picture, or its points do not look like a face."""


@dataclass(frozen=True)
class CropPolicy:
    """A named way to cut faces out of pictures.

    Attributes:
        name: of the policy.
        version: is raised when the same face would give other pixels.
        needs: what it takes of a face: its box, or its five points.
        margin: is added on every side of the box, as a share of that side; of the longer side if `square`.
        square: whether the region is a square around the middle of the box.
        template: where the five points come to lie in the crop; empty if the crop is not turned.
        size: side of the crop, in pixels; None: as many as the region has, reduced to at most `longest` on the longer side.
        longest: see `size`.
        interpolation: bilinear; where pixels would be skipped, all of them are averaged.
        border: what is shown beyond the picture: its outermost pixels again (``edge``), or ``black``.
        encoding: of stored crops.
        quality: of the JPEG file.
    """

    name: str
    version: int
    needs: Literal["box", "points"]
    margin: float = 0.0
    square: bool = False
    template: Template = ()
    size: int | None = None
    longest: int | None = LONGEST
    interpolation: str = "bilinear"
    border: Literal["edge", "black"] = "edge"
    encoding: str = "JPEG 4:4:4"
    quality: int = 95

    @property
    def is_stored(self) -> bool:
        """Whether crops are stored in a column group; otherwise training cuts them out of `image`."""
        return self.name != BOX

    def cut(self, pixels: Pixels, face: DetectedFace) -> Pixels:
        """The crop of a face, uint8 [H, W, 3].

        Args:
            pixels: uint8 [height, width, 3], RGB, upright.
            face: in pixels of that picture.

        Raises:
            NoCropError: the face lacks what the policy needs, its box misses the picture, or its points do not look like a face.
        """
        if self.needs == "box":
            return self._region(pixels, face.box)
        if face.points is None:
            raise NoCropError(f"{self.name} takes five points, and the detector gave none for this face")
        assert self.size is not None, "a template lies in a crop of a known size"
        return aligned(pixels, self._similarity(face.points, pixels), self.size)

    def fallback(self, pixels: Pixels, box: Sequence[float] | None = None) -> Pixels:
        """What a row shows whose face cannot be cut out: the region of its own box, not turned; the whole picture if it has none.

        Args:
            pixels: uint8 [height, width, 3], RGB, upright.
            box: x0 y0 x1 y1 in pixels of that picture; None or NaN: none.
        """
        height, width = pixels.shape[:2]
        if box is None or not np.isfinite(box).all() or box_misses(box, width, height):
            whole = Region(0, 0, width, height) if self.size is None else _square(0, 0, width, height, 0.0)
            return self._scaled(pixels, whole)
        return self._region(pixels, box)

    def encoded(self, pixels: Pixels) -> bytes:
        """A crop as the file that is stored: the same pixels give the same bytes."""
        found: bytes = simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels), quality=self.quality, colorspace="RGB", colorsubsampling="444", fastdct=False
        )
        return found

    def crop_bytes(self, pixels: Pixels, face: DetectedFace) -> bytes:
        """The stored file of a face's crop; arguments and errors are those of `cut`."""
        return self.encoded(self.cut(pixels, face))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `CropPolicy.from_dict` takes back."""
        return {**asdict(self), "template": [list(point) for point in self.template]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CropPolicy":
        """The policy that `to_dict` described.

        Raises:
            ValueError: this release has no such policy, or would cut other pixels by it.
        """
        name = values.get("name")
        known = POLICIES.get(name) if isinstance(name, str) else None
        if known is None:
            raise ValueError(f"the crop policy {name!r} is not known; this release has {', '.join(POLICIES)}")
        if name == BOX and isinstance(values.get("margin"), int | float):
            known = replace(known, margin=float(values["margin"]))
        differing = sorted(
            key for key in {*values, *known.to_dict()} if values.get(key, ...) != known.to_dict().get(key, ...)
        )
        if differing:
            raise ValueError(
                f"the crop policy {name} differs in {', '.join(differing)} from that of this release (version {known.version})"
            )
        return known

    def digest(self) -> str:
        """16 hexadecimal digits that identify the policy: equal digests give equal crops."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def _similarity(self, points: NDArray[np.float32], pixels: Pixels) -> NDArray[np.float64]:
        try:
            matrix = similarity(points, np.asarray(self.template))
        except ValueError as error:
            raise NoCropError(f"{self.name}: {error}") from error
        height, width = pixels.shape[:2]
        x, y = np.asarray(points, np.float64).mean(axis=0).tolist()
        if not (0 <= x <= width and 0 <= y <= height):
            raise NoCropError(
                f"{self.name}: the five points lie around ({x:g}, {y:g}), outside the {width}x{height} picture"
            )
        return matrix

    def _region(self, pixels: Pixels, box: Sequence[float]) -> Pixels:
        height, width = pixels.shape[:2]
        # As boxes are stored, so that a face is cut alike before and after that.
        left, top, right, bottom = np.asarray(box, np.float32).tolist()
        if not np.isfinite(box).all() or box_misses(box, width, height):
            raise NoCropError(
                f"{self.name}: the box {left:g} {top:g} {right:g} {bottom:g} does not lie in the {width}x{height} picture"
            )
        if self.square or self.size is not None:
            return self._scaled(pixels, _square(left, top, right, bottom, self.margin))
        across, down = self.margin * (right - left), self.margin * (bottom - top)
        region = Region(left - across, top - down, right - left + 2 * across, bottom - top + 2 * down)
        return self._scaled(pixels, region)

    def _scaled(self, pixels: Pixels, region: Region) -> Pixels:
        if self.size is not None:
            width = height = self.size
        else:
            region = _whole(region)
            scale = min(1.0, (self.longest or np.inf) / max(region.width, region.height))
            width, height = max(1, round(region.width * scale)), max(1, round(region.height * scale))
        return cut_region(Image.fromarray(np.ascontiguousarray(pixels)), region, width, height)


def _square(left: float, top: float, right: float, bottom: float, margin: float) -> Region:
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    return Region((left + right - side) / 2, (top + bottom - side) / 2, side, side)


def _whole(region: Region) -> Region:
    """The region in whole pixels, at least one each way: where nothing is scaled, the crop has the very pixels of the picture."""
    return Region(round(region.left), round(region.top), max(1, round(region.width)), max(1, round(region.height)))


POLICIES: Final[Mapping[str, CropPolicy]] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            CropPolicy(BOX, 1, "box", margin=0.2, square=True),
            CropPolicy("affwild2-112", 1, "points", template=ARCFACE_112, size=112, longest=None, border="black"),
            CropPolicy("fmae-5", 1, "box", margin=0.05),
            CropPolicy("loose-1.3", 1, "box", margin=0.15, square=True),
        )
    }
)
"""All policies by name; `box` has the margin of `crop.margin`."""

STORED: Final = tuple(name for name, policy in POLICIES.items() if policy.is_stored)
"""Names of the policies whose crops are stored."""


def policy_named(name: str) -> CropPolicy:
    """The policy of a name.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in POLICIES:
        raise UnknownNameError("crop policy", name, tuple(POLICIES))
    return POLICIES[name]
