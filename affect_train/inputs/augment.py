"""Augmentation of images as a pure function of (seed, epoch, occurrence, uid): it depends on no batch, worker, rank or global generator."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's documentation uses
from numpy.typing import NDArray
from torch import Tensor

DRAWS = 16
LUMA = (0.299, 0.587, 0.114)


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
    """

    flip: bool = False
    rotation_degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    grey: float = 0.0

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
        if self.is_identity or not keys:
            return pixels
        draws = uniform_draws(keys)
        flipped = draws[:, 0] < 0.5 if self.flip else np.zeros(len(keys), dtype=bool)
        if self.rotation_degrees or self.scale or self.shift:
            images = self._moved(pixels.float(), draws, flipped)
        else:
            mirrored = torch.from_numpy(flipped)[:, None, None, None]
            images = torch.where(mirrored, pixels.flip(-1), pixels)
        if self.brightness or self.contrast or self.noise or self.grey:
            images = self._relit(images.float(), draws)
        return images if images.dtype == torch.uint8 else images.round_().clamp_(0, 255).to(torch.uint8)

    def _moved(self, images: Tensor, draws: NDArray[np.float64], flipped: NDArray[np.bool_]) -> Tensor:
        angle = np.deg2rad(self.rotation_degrees) * signed(draws[:, 1])
        zoom = 1 + self.scale * signed(draws[:, 2])
        across = np.where(flipped, -1.0, 1.0)
        transform = np.zeros((len(images), 2, 3), dtype=np.float32)
        transform[:, 0, 0] = across * np.cos(angle) / zoom
        transform[:, 0, 1] = -across * np.sin(angle) / zoom
        transform[:, 1, 0] = np.sin(angle) / zoom
        transform[:, 1, 1] = np.cos(angle) / zoom
        transform[:, :, 2] = 2 * self.shift * signed(draws[:, 3:5])
        grid = F.affine_grid(torch.from_numpy(transform), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def _relit(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        if self.grey:
            luma = (images * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
            images = torch.where(column(draws[:, 5] < self.grey), luma, images)
        gain = 1 + self.contrast * signed(draws[:, 6])
        brightness = 1 + self.brightness * signed(draws[:, 7])
        mean = images.mean((1, 2, 3), keepdim=True)
        images = torch.addcmul(
            mean * column(brightness * (1 - gain)).float(), images, column(brightness * gain).float()
        )
        if self.noise:
            deviation = 255 * self.noise * draws[:, 8]
            images = images + column(deviation).float() * noise(draws[:, 9], tuple(images.shape[1:]))
        return images


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


def noise(draws: NDArray[np.float64], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, float32 [N, *shape]: for each image a stretch of one fixed sequence, which begins where its draw says."""
    size = math.prod(shape)
    stock = _stock_of_noise(size)
    starts = (draws * (len(stock) - size + 1)).astype(np.int64).tolist()
    return torch.stack([stock[start : start + size].view(shape) for start in starts])


@lru_cache(maxsize=2)
def _stock_of_noise(size: int) -> Tensor:
    # Fresh noise for every pixel would cost more than all the rest of the augmentation.
    generator = np.random.Generator(np.random.PCG64(size))
    return torch.from_numpy(generator.standard_normal(8 * size, dtype=np.float32))


def signed(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws from [0, 1) stretched to [-1, 1)."""
    return 2 * draws - 1


def column(values: NDArray[np.float64] | NDArray[np.bool_]) -> Tensor:
    """One value for each image, as a tensor [N, 1, 1, 1]."""
    return torch.from_numpy(values)[:, None, None, None]
