"""Which pictures of a dataset are copies of each other: the same bytes, the same pixels, or nearly so.

Candidates come from perceptual hashes of whole pictures, and of crops of one picture against the whole of another. They are confirmed by the
correlation of the aligned pictures, because hashes alone confuse faces: most are frontal, centred and lit from above.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.pictures.alignment import aligned_correlations
from affect_data.audit.pictures.facts import MEASUREMENTS, Pictures, distinct_pictures
from affect_data.audit.pictures.hamming import matches_within, pairs_within
from affect_data.audit.pictures.hashing import by_parts, hash_crops, hash_small
from affect_data.audit.pictures.scratch import Rows as PictureRows
from affect_data.audit.pictures.variants import Brightened, Resampled, brightened, turned_and_moved
from affect_data.leaks.connected import connected_components, edges_of_keys

RADIUS: Final = 8
"""The hashes of candidates differ in at most this many bits."""

CONFIRMED: Final = 0.95
"""From this correlation on, two pictures count as copies."""

MIRRORED: Final = 0.98
"""The same for a picture and a mirrored one. It is stricter, because much of what two faces share is symmetric."""

STEP: Final = 4
"""A frame of a track is compared with other pictures only if its hash differs in this many bits from the last compared frame."""

LARGE: Final = 100_000
"""Datasets of more pictures than this are large."""

LARGE_RADIUS: Final = 4
"""The same as `RADIUS` for pictures that are cropped, turned, moved or brightened, in a large dataset: at `RADIUS` the pairs that are near by chance
are seven times as many (FER+), and each takes as long to refute as a copy to confirm."""

CHANGED: Final = 0.965
"""The same for a picture that is turned, moved or brightened to fit the other: of so many ways to fit, one may be near by chance."""

BLANK: Final = 4.0
"""A picture with less contrast shows nothing that could be compared."""

LEVELS: Final = ("", "bytes", "pixels", "near", "mirrored")
"""How two rows are bound, from not at all to the weakest bond."""

Rows = npt.NDArray[np.integer]
Small = npt.NDArray[np.uint8]
Change = Callable[[Small], Small]

_PAIRS_AT_ONCE: Final = 16_384
_MOST_NAMES: Final = 1 << 32


@dataclass(frozen=True)
class Copies:
    """Copies among the rows of a dataset.

    Attributes:
        of_row: int32 [rows], the first row among a row and its copies; the row itself if it has none.
        level: for each row one of `LEVELS`, the weakest bond among the row and its copies.
        correlation: float32 [rows], the best correlation among them at that level; 1 for equal pixels.
    """

    of_row: Rows
    level: pl.Series
    correlation: npt.NDArray[np.float32]


def find_copies(pictures: Pictures, labels: pl.DataFrame) -> Copies:
    """The copies among the rows of a dataset. Frames of one track are copies only if their pixels are equal.

    Args:
        pictures: of the dataset.
        labels: of all its rows; at least `database` and `track`.
    """
    equal = _equal_pixels(pictures)
    compared = _representatives(pictures, labels, equal)
    small, hashes = _Chosen(pictures.small, compared), pictures.hashes[compared]
    track = _tracks(labels)[pictures.first_row]
    bonds = [_Bond("pixels", *equal, np.ones(len(equal[0]), np.float32))]
    for level, pairs in (("near", near_pairs(small, hashes)), ("mirrored", mirrored_pairs(small, hashes))):
        first, second = compared[pairs[0]], compared[pairs[1]]
        apart = (track[first] != track[second]) | (track[first] < 0)
        bonds.append(_Bond(level, first[apart], second[apart], pairs[2][apart]))
    return _by_row(pictures, bonds)


class _Chosen:
    """Some of the small pictures, numbered anew."""

    def __init__(self, small: PictureRows[np.uint8], chosen: Rows) -> None:
        self._small = small
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, rows: slice | Rows) -> Small:
        return self._small[self._chosen[rows]]


def near_pairs(
    small: PictureRows[np.uint8], hashes: npt.NDArray[np.uint64]
) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """Pairs of pictures that are copies, such as recompressed, resized, brightened, slightly cropped, turned, moved or grey ones.

    Args:
        small: uint8 [pictures, SIDE, SIDE].
        hashes: uint64 [pictures], their perceptual hashes.

    Returns:
        first, second, correlation: pairs with ``first < second``, and the correlation of the aligned pictures, at least `CONFIRMED`.
    """
    near, other, _ = pairs_within(hashes, RADIUS)
    query, whole = _crops_near(small, hashes)
    first, second = _each_once(np.concatenate([near, query]), np.concatenate([other, whole]), len(hashes))
    found = [_confirmed(small, _as_it_is, first, second, CONFIRMED)]
    middle = Resampled()
    of_middles = by_parts(lambda part: hash_small(middle(part)), small)
    found += [_changed_near(small, change, middle, of_middles) for change in turned_and_moved()]
    found += [_changed_near(small, change, _as_it_is, hashes) for change in brightened()]
    return _best_of(found, len(hashes))


def mirrored_pairs(
    small: PictureRows[np.uint8], hashes: npt.NDArray[np.uint64]
) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """Pairs in which one picture is a copy of the other mirrored; as from `near_pairs`, with correlations of at least `MIRRORED`."""
    query, whole, _ = matches_within(by_parts(lambda part: hash_small(_mirrored(part)), small), hashes, RADIUS)
    cropped, of_crop = _crops_near(small, hashes, mirrored=True)
    first, second = _each_once(np.concatenate([query, cropped]), np.concatenate([whole, of_crop]), len(hashes))
    return _confirmed(small, _mirrored, first, second, MIRRORED)


def _as_it_is(small: Small) -> Small:
    return small


def _mirrored(small: Small) -> Small:
    return np.ascontiguousarray(small[:, :, ::-1])


def _crops_near(
    small: PictureRows[np.uint8], hashes: npt.NDArray[np.uint64], *, mirrored: bool = False
) -> tuple[Rows, Rows]:
    """Pairs of a picture with a crop near another whole picture, and that other picture."""
    pairs = [_others(crops, hashes) for crops in hash_crops(small, mirrored=mirrored)]
    return np.concatenate([query for query, _ in pairs]), np.concatenate([whole for _, whole in pairs])


def _others(changed: npt.NDArray[np.uint64], hashes: npt.NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Pairs of a changed picture and another picture as it is, whose hashes are near."""
    query, other, _ = matches_within(changed, hashes, RADIUS if len(hashes) <= LARGE else LARGE_RADIUS)
    apart = query != other
    return query[apart], other[apart]


def _changed_near(
    small: PictureRows[np.uint8],
    change: Resampled | Brightened,
    shown: Change,
    hashes: npt.NDArray[np.uint64],
) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """Pairs of pictures of which one, changed, is a copy of the other as `shown`, and their correlations."""
    query, other = _others(change.hashes(small), hashes)
    found = [
        aligned_correlations(change(small[query[part]]), shown(small[other[part]]), CHANGED)
        for part in _parts(len(query))
    ]
    correlation = np.concatenate([np.empty(0, np.float32), *found])
    sure = correlation >= CHANGED
    query, other = query[sure], other[sure]
    return np.minimum(query, other), np.maximum(query, other), correlation[sure]


def _best_of(
    found: list[tuple[Rows, Rows, npt.NDArray[np.float32]]], count: int
) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """Each pair once, with the best of its correlations."""
    first, second, correlation = (np.concatenate([pairs[part] for pairs in found]) for part in range(3))
    keys, place = np.unique(first * count + second, return_inverse=True)
    best = np.full(len(keys), -1.0, np.float32)
    np.maximum.at(best, place, correlation.astype(np.float32))
    return keys // max(1, count), keys % max(1, count), best


def _each_once(first: Rows, second: Rows, count: int) -> tuple[Rows, Rows]:
    """Unordered pairs of different pictures, each once."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    pairs = np.unique(low[low != high] * count + high[low != high])
    return pairs // max(1, count), pairs % max(1, count)


def _confirmed(
    small: PictureRows[np.uint8], change: Change, first: Rows, second: Rows, least: float
) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    found = [
        aligned_correlations(change(small[first[part]]), small[second[part]], least) for part in _parts(len(first))
    ]
    correlation = np.concatenate([np.empty(0, np.float32), *found])
    sure = correlation >= least
    return first[sure], second[sure], correlation[sure]


def _parts(count: int) -> list[slice]:
    """Slices of a bounded number of pairs: copies of their pictures are made."""
    return [slice(start, start + _PAIRS_AT_ONCE) for start in range(0, count, _PAIRS_AT_ONCE)]


@dataclass(frozen=True)
class _Bond:
    """Pairs of pictures that are copies at one level, with their correlations."""

    level: str
    first: Rows
    second: Rows
    correlation: npt.NDArray[np.float32]


def _by_row(pictures: Pictures, bonds: list[_Bond]) -> Copies:
    count = len(pictures.first_row)
    first, second = (np.concatenate([getattr(bond, end) for bond in bonds]) for end in ("first", "second"))
    nodes = connected_components(count, first, second).astype(np.int32)
    node = nodes[pictures.of_row]
    # The smallest picture of a component has the first of its rows.
    first_of = pictures.first_row[node]
    level = (np.bincount(node, minlength=count) > 1)[node].astype(np.uint8)
    correlation = np.ones(len(node), np.float32)
    for bond in bonds:
        # Weaker bonds come later and overwrite; the best correlation of the weakest bond stands for the whole group.
        best = np.zeros(count, np.float32)
        np.maximum.at(best, nodes[bond.first], bond.correlation)
        held = best[node] > 0
        level[held], correlation[held] = LEVELS.index(bond.level), best[node[held]]
    return Copies(first_of, pl.Series("level", level).cat.to(pl.Enum(LEVELS)), correlation)


def _equal_pixels(pictures: Pictures) -> tuple[Rows, Rows]:
    """Edges between pictures with equal pixels; blank pictures have none."""
    keys, _ = distinct_pictures(pictures.pixels[:])
    return edges_of_keys(np.where(_shows_something(pictures), keys, -1))


def _shows_something(pictures: Pictures) -> npt.NDArray[np.bool_]:
    contrast = pictures.measurements[:][:, MEASUREMENTS.index("contrast")]
    return ~np.isnan(contrast) & (contrast >= BLANK)


def _representatives(pictures: Pictures, labels: pl.DataFrame, equal: tuple[Rows, Rows]) -> Rows:
    """The pictures that are compared: one of those with equal pixels, and of a track the frames whose hash has changed."""
    chosen = _shows_something(pictures)
    chosen[equal[1]] = False
    track = _tracks(labels)[pictures.first_row]
    order = np.argsort(track, kind="stable")
    last_track, last_hash = -1, np.uint64(0)
    for picture in order[track[order] >= 0]:
        if not chosen[picture]:
            continue
        if track[picture] == last_track and np.bitwise_count(pictures.hashes[picture] ^ last_hash) <= STEP:
            chosen[picture] = False
        else:
            last_track, last_hash = track[picture], pictures.hashes[picture]
    return np.nonzero(chosen)[0].astype(np.int64)


def _tracks(labels: pl.DataFrame) -> Rows:
    """The number of each row's track, int64 [rows]; -1 for rows without a track."""
    names = labels.select(pl.col("database", "track").cast(pl.Categorical).to_physical().cast(pl.Int64))
    key = pl.col("database") * _MOST_NAMES + pl.col("track")
    named = names.select(pl.when(labels["track"] != "").then(key).otherwise(-1).alias("track"))
    return named["track"].to_numpy()
