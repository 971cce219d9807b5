"""Whether two small pictures are copies: their correlation after one is aligned with the other.

A copy may lack a margin of the original, so position and size are fitted first (Gauss-Newton on the normalised correlation, all pairs at once). Gain
and offset of the brightness cancel in the correlation.

Source:
    Evangelidis & Psarakis, *Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization*, IEEE TPAMI 30 (2008).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.audit.pictures.hashing import SIDE

ITERATIONS: Final = 8
MOST_SCALE: Final = 0.2
MOST_SHIFT: Final = 4.0
LEAST_OVERLAP: Final = 0.7
HOPELESS: Final = 0.8
HOPELESS_AFTER: Final = 3

Floats = npt.NDArray[np.float32]

_PAIRS_AT_ONCE: Final = 1024
_DAMPING: Final = 1e-3
_FLAT: Final = 1e-3


def aligned_correlations(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], enough: float = 1.0) -> Floats:
    """The largest correlation of each pair of small pictures over positions and sizes.

    Args:
        first: uint8 [pairs, SIDE, SIDE].
        second: uint8 [pairs, SIDE, SIDE].
        enough: the alignment of a pair stops once its correlation exceeds this.

    Returns:
        float32 [pairs] in [-1, 1]; 0 where one of the pictures is blank.
    """
    parts = [
        _aligned(first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE], enough)
        for start in range(0, len(first), _PAIRS_AT_ONCE)
    ]
    return np.concatenate([np.empty(0, np.float32), *parts])


def _aligned(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], enough: float) -> Floats:
    moving, fixed = first.astype(np.float32), second.astype(np.float32)
    # Four numbers for each pair: scale down and across, shift down and across in pixels; scales are about the centre.
    pose = np.zeros((len(moving), 4), np.float32)
    best = np.full(len(moving), -1.0, np.float32)
    active = np.arange(len(moving))
    for done in range(ITERATIONS + 1):
        correlation, step = _step(moving[active], fixed[active], pose[active])
        best[active] = np.maximum(best[active], correlation)
        pose[active] += step
        pose[:, :2] = pose[:, :2].clip(-MOST_SCALE, MOST_SCALE)
        pose[:, 2:] = pose[:, 2:].clip(-MOST_SHIFT, MOST_SHIFT)
        hopeless = HOPELESS if done >= HOPELESS_AFTER else -1.0
        active = active[(best[active] <= enough) & (best[active] > hopeless)]
        if not len(active):
            break
    return best


def _step(moving: Floats, fixed: Floats, pose: Floats) -> tuple[Floats, Floats]:
    """The correlation at a pose, and the change of the pose that raises it."""
    offsets = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    rows = (SIDE - 1) / 2 + offsets * (1 + pose[:, :1]) + pose[:, 2:3]
    columns = (SIDE - 1) / 2 + offsets * (1 + pose[:, 1:2]) + pose[:, 3:4]
    inside = (_inside(rows)[:, :, None] & _inside(columns)[:, None, :]).astype(np.float32)
    across, along = _interpolation(rows), _interpolation(columns)
    warped = np.asarray(across @ moving @ along.transpose(0, 2, 1), np.float32)
    down = np.gradient(warped, axis=1)
    right = np.gradient(warped, axis=2)
    directions = np.stack([down * offsets[:, None], right * offsets, down, right], axis=1)

    pixels = len(moving), SIDE * SIDE
    weight = inside.reshape(pixels)
    one = _normalised(warped.reshape(pixels), weight)
    other = _normalised(fixed.reshape(pixels), weight)
    correlation = np.einsum("np,np->n", one, other) * (weight.mean(axis=1) >= LEAST_OVERLAP)
    slopes = directions.reshape(len(moving), 4, -1) * weight[:, None]
    slopes = slopes - (slopes.sum(axis=2) / weight.sum(axis=1, keepdims=True).clip(1))[:, :, None] * weight[:, None]
    slopes = slopes - np.einsum("ndp,np->nd", slopes, one)[:, :, None] * one[:, None]
    gram = slopes @ slopes.transpose(0, 2, 1)
    scale = np.trace(gram, axis1=1, axis2=2)[:, None, None] / 4
    gram = gram + np.eye(4, dtype=np.float32) * (_DAMPING * scale + _FLAT)
    length = _norm(warped.reshape(pixels), weight)
    residual = np.einsum("ndp,np->nd", slopes, other) * (length / correlation.clip(0.2))[:, None]
    step = np.linalg.solve(gram, residual[:, :, None])[:, :, 0]
    return correlation.astype(np.float32), step.astype(np.float32)


def _inside(positions: Floats) -> npt.NDArray[np.bool_]:
    return (positions >= -0.5) & (positions <= SIDE - 0.5)


def _interpolation(positions: Floats) -> Floats:
    """Linear interpolation at positions [pairs, SIDE], as matrices [pairs, SIDE, SIDE]; the border continues outwards."""
    places = positions.clip(0, SIDE - 1)[:, :, None]
    return np.asarray((1 - np.abs(places - np.arange(SIDE, dtype=np.float32))).clip(0), np.float32)


def _centred(pixels: Floats, weight: Floats) -> Floats:
    mean = (pixels * weight).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True).clip(1)
    return np.asarray((pixels - mean) * weight, np.float32)


def _norm(pixels: Floats, weight: Floats) -> Floats:
    return np.asarray(np.linalg.norm(_centred(pixels, weight), axis=1), np.float32)


def _normalised(pixels: Floats, weight: Floats) -> Floats:
    """Pixels with mean 0 and length 1 under the weight; 0 for a picture whose pixels are all alike."""
    centred = _centred(pixels, weight)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(length > SIDE * _FLAT, centred / np.maximum(length, _FLAT), 0).astype(np.float32)
