"""Augmentation of images as a pure function of (seed, epoch, occurrence, uid): it depends on no batch, process, device or global generator.

What happens to an image is drawn on the CPU: a few numbers that follow from its key alone. They are applied where the image is, to whole uint8
batches: in the loader process, or on an accelerator.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's documentation uses
from numpy.typing import NDArray
from torch import Tensor

DRAWS = 16
MIDDLE: Final = 128
ERASED_AREA: Final = (0.02, 0.33)
ERASED_RATIO: Final = (0.3, 1 / 0.3)
LUMA = (0.299, 0.587, 0.114)

AT_A_TIME: Final = 8
"""Images that the CPU changes at a time: their numbers fit into its cache, which makes it twice as fast."""

STOCK: Final = 8
"""The noise of how many images is kept, to take stretches of."""

STRIDE: Final = 16
"""Numbers from one place where a stretch may begin to the next. As counts of these, places are exact in float32."""

TOLERANCE: Final = 1
"""Levels of 255 by which two devices may differ in an image: they add and round in another order."""


class DrawnChanges(NamedTuple):
    """What is to happen to each image of a batch.

    Attributes:
        augmentation: that drew it.
        values: float32 [N, 16], on any device: one column for each field of `Change`, in its order.
        size: side of the result, in pixels; of larger images the middle is shown.
    """

    augmentation: "Augmentation"
    values: Tensor
    size: int

    def applied(self, pixels: Tensor) -> Tensor:
        """The changed images, uint8 [N, 3, size, size], on the device where pixels and values are; nothing is read from it.

        Args:
            pixels: uint8 [N, 3, S, S]; S is `size`, or larger if the augmentation moves images.
        """
        if self.augmentation.is_identity or not len(pixels):
            return pixels
        return self.augmentation._apply(pixels, self.values, self.size)


class Change(NamedTuple):
    """What happens to one image, or, as columns, to the images of a batch.

    Attributes:
        flip: 1 where it is mirrored, otherwise 0.
        xx, xy, yx, yy: the matrix from a place in the result to one in the source, the middle being 0 and the border 1; mirrored if `flip` says so.
        x, y: added to that place.
        grey: 1 where the colour is lost, otherwise 0.
        lift: the image's mean times this is added,
        factor: to its values times this.
        deviation: of the noise, in levels.
        start: place in the stock of noise, in strides.
        top, bottom, left, right: the rectangle that is erased, in pixels; the first row and column, and those after the last.
    """

    flip: Tensor
    xx: Tensor
    xy: Tensor
    yx: Tensor
    yy: Tensor
    x: Tensor
    y: Tensor
    grey: Tensor
    lift: Tensor
    factor: Tensor
    deviation: Tensor
    start: Tensor
    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor


@dataclass(frozen=True)
class Augmentation:
    """Random changes of images, drawn for each by itself; the default changes nothing.

    Attributes:
        flip: mirror half of the images.
        rotation_degrees: rotate by up to this angle either way.
        scale: enlarge or shrink by up to this share (0.1: 0.9 to 1.1 times).
        shift: move by up to this share of the side, along each axis.
        brightness: multiply by up to 1 plus or minus this share.
        contrast: move away from or towards the image's mean by up to this share.
        noise: standard deviation of the Gaussian noise, up to this share of the full range.
        grey: share of the images that lose their colour.
        erase: share of the images of which a rectangle becomes grey.
    """

    flip: bool = False
    rotation_degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    grey: float = 0.0
    erase: float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether no image is ever changed."""
        return self == Augmentation()

    def __call__(self, pixels: Tensor, keys: Sequence[str]) -> Tensor:
        """The augmented images, uint8 [N, 3, S, S].

        Args:
            pixels: uint8 [N, 3, S, S].
            keys: one string for each image, which decides all its random numbers (from `augmentation_key`).
        """
        return self.draw(keys, pixels.shape[-1]).applied(pixels)

    @property
    def moves(self) -> bool:
        """Whether images are turned, zoomed or shifted, so that what lies around them comes into view."""
        return bool(self.rotation_degrees or self.scale or self.shift)

    def shown(
        self, pixels: Tensor, keys: Sequence[str], size: int | None = None, *, later: bool
    ) -> tuple[Tensor, DrawnChanges | None]:
        """The images for a batch, and what is still to happen to them: changed here and None, or `later` as they are with what was drawn.

        Args:
            pixels: uint8 [N, 3, S, S].
            keys: one for each image.
            size: side of the result; None: S. If it is less, images are moved, and what lies around the middle comes into view.
            later: leave the changes to others.
        """
        drawn = self.draw(keys, size or pixels.shape[-1], (size or pixels.shape[-1]) / pixels.shape[-1])
        if later and not self.is_identity:
            return pixels, drawn
        return drawn.applied(pixels), None

    def draw(self, keys: Sequence[str], size: int, middle: float = 1.0) -> DrawnChanges:
        """What is to happen to images, one for each key.

        Args:
            keys: of the images.
            size: side of the result, in pixels.
            middle: the share of an image's side that is shown if nothing is moved.
        """
        draws = uniform_draws(keys)
        flip = draws[:, 0] < 0.5 if self.flip else np.zeros(len(keys), dtype=bool)
        across = np.where(flip, -1.0, 1.0)
        angle = np.deg2rad(self.rotation_degrees) * signed(draws[:, 1])
        zoom = (1 + self.scale * signed(draws[:, 2])) / middle
        gain = 1 + self.contrast * signed(draws[:, 6])
        brightness = 1 + self.brightness * signed(draws[:, 7])
        columns = (
            flip,
            across * np.cos(angle) / zoom,
            -across * np.sin(angle) / zoom,
            np.sin(angle) / zoom,
            np.cos(angle) / zoom,
            2 * middle * self.shift * signed(draws[:, 3]),
            2 * middle * self.shift * signed(draws[:, 4]),
            draws[:, 5] < self.grey,
            brightness * (1 - gain),
            brightness * gain,
            255 * self.noise * draws[:, 8],
            np.floor(draws[:, 9] * starts_of_noise(3 * size * size)),
            *erased_rectangles(draws[:, 10:15], self.erase, size),
        )
        return DrawnChanges(self, torch.from_numpy(np.stack(columns, axis=1).astype(np.float32)), size)

    def _apply(self, pixels: Tensor, values: Tensor, size: int) -> Tensor:
        if pixels.device.type != "cpu" or replace(self, flip=False).is_identity:
            return self._changed(pixels, values, size)
        parts = zip(torch.split(pixels, AT_A_TIME), torch.split(values, AT_A_TIME), strict=True)
        return torch.cat([self._changed(*part, size) for part in parts])

    def _changed(self, pixels: Tensor, values: Tensor, size: int) -> Tensor:
        change = Change(*(one[:, None, None, None] for one in values.unbind(1)))
        if self.moves:
            images = moved(pixels.float(), change, size)
        elif self.flip:
            images = torch.where(change.flip > 0, pixels.flip(-1), pixels)
        else:
            images = pixels
        if self.brightness or self.contrast or self.noise or self.grey:
            images = self._relit(images.float(), change)
        if self.erase:
            images = erased(images, change)
        return images if images.dtype == torch.uint8 else images.round_().clamp_(0, 255).to(torch.uint8)

    def _relit(self, images: Tensor, change: Change) -> Tensor:
        if self.grey:
            red, green, blue = (share * images[:, place, None] for place, share in enumerate(LUMA))
            images = torch.where(change.grey > 0, red + green + blue, images)
        if self.brightness or self.contrast:
            mean = images.mean((1, 2, 3), keepdim=True)
            images = (images * change.factor).add_(mean * change.lift)
        if self.noise:
            images = images + change.deviation * noise(change.start.flatten(), tuple(images.shape[1:]))
        return images


def moved(images: Tensor, change: Change, size: int) -> Tensor:
    """The images turned, zoomed and shifted, float32 [N, 3, size, size], between pixels by bilinear interpolation; the border is continued outwards.

    Args:
        images: float32 [N, 3, S, S].
        change: columns [N, 1, 1, 1].
        size: side of the result.
    """
    steps = torch.arange(size, dtype=torch.float32, device=images.device).mul_(2).add_(1).div_(size).sub_(1)
    grid = images.new_empty((len(images), size, size, 2))
    for place, (by_x, by_y, shift) in enumerate(((change.xx, change.xy, change.x), (change.yx, change.yy, change.y))):
        columns, rows = by_x[..., 0] * steps, by_y[..., 0] * steps + shift[..., 0]
        torch.add(columns, rows.transpose(1, 2), out=grid[..., place])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def erased(images: Tensor, change: Change) -> Tensor:
    """The images with a rectangle in middle grey, uint8 or float32 [N, 3, S, S].

    Source: Zhong et al., *Random Erasing Data Augmentation*, AAAI 2020 (arXiv 1708.04896), which fills the rectangle with random values.
    """
    place = torch.arange(images.shape[-1], dtype=torch.float32, device=images.device)
    rows, columns = place[:, None], place[None, :]
    inside = (rows >= change.top) & (rows < change.bottom) & (columns >= change.left) & (columns < change.right)
    return images.masked_fill(inside, MIDDLE)


def erased_rectangles(draws: NDArray[np.float64], share: float, size: int) -> tuple[NDArray[np.float64], ...]:
    """Top, bottom, left and right of the rectangle that each image loses, float64 [N] in pixels; all 0 for images that lose none.

    Its area is uniform in `ERASED_AREA`, the logarithm of height over width uniform in that of `ERASED_RATIO`; what is longer than the image is cut.

    Args:
        draws: [N, 5] in [0, 1).
        share: of the images that lose one.
        size: of the images, in pixels.
    """
    chosen, area, ratio, top, left = draws.T
    area = ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * area
    low, high = np.log(ERASED_RATIO)
    root = np.exp((low + (high - low) * ratio) / 2)
    heights, widths = (np.minimum(np.rint(size * np.sqrt(area) * side), size) for side in (root, 1 / root))
    tops, lefts = np.floor(top * (size - heights + 1)), np.floor(left * (size - widths + 1))
    kept = chosen < share
    return tuple(np.where(kept, side, 0.0) for side in (tops, tops + heights, lefts, lefts + widths))


def augmentation_key(seed: int, epoch: int, occurrence: int, uid: str) -> str:
    """The key that decides an image's augmentation.

    Args:
        seed: the run's seed.
        epoch: 0-based.
        occurrence: how often the image has come before in the epoch, so that its views differ.
        uid: unique name of the row.
    """
    return f"{seed}/{epoch}/{occurrence}/{uid}"


def uniform_draws(keys: Sequence[str]) -> NDArray[np.float64]:
    """`DRAWS` numbers for each key, float64 [N, 16], uniform in [0, 1): the key's BLAKE2 hash as 32-bit integers."""
    digests = b"".join(hashlib.blake2b(key.encode(), digest_size=4 * DRAWS).digest() for key in keys)
    return np.frombuffer(digests, dtype="<u4").reshape(len(keys), DRAWS) / 2.0**32


def noise(starts: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, float32 [N, *shape]: for each image a stretch of one fixed sequence.

    Args:
        starts: [N], whole numbers below `starts_of_noise`, where the stretch begins.
        shape: of an image.
    """
    stock = _stock_of_noise(math.prod(shape), str(starts.device))
    return stock[starts.long()].reshape(len(starts), *shape)


def starts_of_noise(size: int) -> int:
    """At how many places of the stock the noise of an image of `size` numbers may begin."""
    return (STOCK - 1) * size // STRIDE + 1


@lru_cache(maxsize=2)
def _stock_of_noise(size: int, device: str) -> Tensor:
    # Fresh noise for every pixel would cost more than all the rest of the augmentation. It is drawn on the CPU, so that it is the same everywhere.
    generator = np.random.Generator(np.random.PCG64(size))
    stock = torch.from_numpy(generator.standard_normal(STOCK * size, dtype=np.float32)).to(device)
    return stock.unfold(0, size, STRIDE)


def signed(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws from [0, 1) stretched to [-1, 1)."""
    return 2 * draws - 1
