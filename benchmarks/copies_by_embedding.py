"""Planted copies of a dataset's faces: how many `embedding_duplicates` finds by stored features, compared with hashes.

`duplicates.py --dataset DATASET --backbone PATH` runs it. The dataset has features of the same backbone (`affect-train features PATH DATASET`).
Only those of the copies are computed here, in the same way, and stand among the rows' own while all are whitened.
"""

import io
import time
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from planted import image_bytes

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks.embedding_duplicates import COSINE, LEAST_ROWS, whitened
from affect_data.audit.pictures.copies import mirrored_pairs, near_pairs
from affect_data.audit.pictures.hashing import decode_grey, hash_small, small_picture
from affect_data.dataset.folder import open_dataset
from affect_data.leaks.connected import connected_components

BATCH = 32
AT_ONCE = 1024


STRONG = {"an eighth": 7 / 8, "a quarter": 3 / 4}


def strong_copies_of(picture: Image.Image, rng: np.random.Generator) -> dict[str, Image.Image]:
    """Copies that hashes are not made for: a window anywhere of seven eighths or three quarters of each side, plain or mirrored."""
    copies = {}
    for name, share in STRONG.items():
        side = round(share * picture.width)
        left, top = (int(offset) for offset in rng.integers(0, picture.width - side + 1, 2))
        cropped = picture.crop((left, top, left + side, top + side))
        copies[f"cropped by {name}"] = cropped
        copies[f"cropped by {name} and mirrored"] = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return copies


def embedded_copies(path: Path, backbone: str, originals: int) -> dict[str, object]:
    """Recall by kind of copy, and precision, among as few rows as the check takes and among all.

    A pair of a copy and a row counts as right where the row is the original, or is bound to it by a chain of copies that hashes or features find
    among the rows alone.
    """
    from duplicates import copies_of

    dataset = AuditedDataset(open_dataset(path))
    rng = np.random.default_rng(0)
    whole = np.nonzero(np.isnan(dataset.face_boxes[:, 0]))[0]
    chosen = np.sort(rng.choice(whole, min(originals, len(whole)), replace=False))
    encoded, owners, kinds = [], [], []
    for row, data in zip(chosen.tolist(), image_bytes(dataset, chosen), strict=True):
        face = Image.open(io.BytesIO(data)).convert("L")
        for kind, copy in {**copies_of(face, rng), **strong_copies_of(face, rng)}.items():
            sink = io.BytesIO()
            copy.save(sink, "JPEG" if "mirrored" in kind else "PNG")
            encoded.append(sink.getvalue())
            owners.append(row)
            kinds.append(kind)
    owner, kind_of = np.array(owners), np.array(kinds)
    start = time.perf_counter()
    name, features = _features_of(encoded, dataset, backbone)
    seconds = (time.perf_counter() - start) / len(encoded)
    stored = dataset.features(name)
    known = _groups(stored, dataset)
    others = np.setdiff1d(np.arange(len(stored)), chosen)
    fewest = np.sort(np.r_[chosen, rng.choice(others, max(0, LEAST_ROWS - len(chosen)), replace=False)])
    return {
        "originals": len(chosen),
        "copies": len(encoded),
        "features": name,
        "seconds_a_copy": round(seconds, 3),
        "recall_of_hashes": _by_kind(_hashed(dataset, chosen, encoded, owner), kind_of),
        "embedding": [
            _judged(stored, features, rows, owner, kind_of, known) for rows in (fewest, np.arange(len(stored)))
        ],
    }


def _features_of(encoded: list[bytes], dataset: AuditedDataset, backbone: str) -> tuple[str, np.ndarray]:
    """Features of pictures, as the dataset's first stored ones that this backbone gives; float32 [pictures, width]."""
    import torch

    from affect_data.dataset.kinds.features import FEATURES
    from affect_train.inference.features import features_of
    from affect_train.inputs.preprocess import Preprocessing
    from affect_train.network.model import AffectModel
    from affect_train.recipe.model import ModelOptions
    from affect_train.tasks import TaskSet

    for name in dataset.feature_names():
        described = FEATURES.read(dataset.folder, name).preprocessing
        preprocessing = Preprocessing.from_dict(described)
        options = ModelOptions(backbone=backbone, image_size=preprocessing.image_size, freeze_backbone=True)
        model = AffectModel.build(TaskSet((), (), 2), options, described, preprocessing.digest()).eval()
        if features_of(model, dataset.folder) == name:
            break
    else:
        raise SystemExit(f"no features of {backbone}: `affect-train features {backbone} {dataset.folder.path}`")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(encoded), BATCH):
            pixels = np.stack([preprocessing(data) for data in encoded[start : start + BATCH]])
            parts.append(model.features(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy().astype(np.float16))
    return name, np.concatenate(parts).astype(np.float32)


def _groups(stored: np.ndarray, dataset: AuditedDataset) -> np.ndarray:
    first, second = _near(whitened(stored))
    own = dataset.copies.of_row
    return connected_components(len(stored), np.r_[first, np.arange(len(own))], np.r_[second, own])


def _near(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows that the check would find."""
    parts = []
    for start in range(0, len(features), AT_ONCE):
        first, second = np.nonzero(features[start : start + AT_ONCE] @ features.T >= COSINE)
        parts.append(np.stack([first + start, second]))
    first, second = np.concatenate(parts, axis=1)
    return first[first < second], second[first < second]


def _judged(
    stored: np.ndarray, features: np.ndarray, rows: np.ndarray, owner: np.ndarray, kinds: np.ndarray, known: np.ndarray
) -> dict[str, object]:
    both = whitened(np.concatenate([stored[rows], features]))
    cosine = both[len(rows) :] @ both[: len(rows)].T
    near = cosine >= COSINE
    right = known[owner][:, None] == known[rows]
    to_original = cosine[np.arange(len(owner)), np.searchsorted(rows, owner)]
    return {
        "rows": len(rows),
        "recall": round(float((near & right).any(axis=1).mean()), 4),
        "recall_by_kind": _by_kind((near & right).any(axis=1), kinds),
        "median_cosine_by_kind": {
            str(kind): round(float(np.median(to_original[kinds == kind])), 2) for kind in dict.fromkeys(kinds)
        },
        "precision_of_pairs": round(float(right[near].mean()), 4) if near.any() else None,
        "copies_with_a_wrong_neighbour": round(float((near & ~right).any(axis=1).mean()), 4),
    }


def _hashed(dataset: AuditedDataset, chosen: np.ndarray, encoded: list[bytes], owner: np.ndarray) -> np.ndarray:
    """Which copies the check `duplicates` pairs with their original, not by way of another copy."""
    stacked = np.stack([small_picture(decode_grey(data)) for data in (*image_bytes(dataset, chosen), *encoded)])
    hashes = hash_small(stacked)
    found = set()
    for first, second, _ in (near_pairs(stacked, hashes), mirrored_pairs(stacked, hashes)):
        found.update(zip(first.tolist(), second.tolist(), strict=True))
    pairs = zip(np.searchsorted(chosen, owner).tolist(), range(len(chosen), len(stacked)), strict=True)
    return np.array([pair in found for pair in pairs])


def _by_kind(found: np.ndarray, kinds: np.ndarray) -> dict[str, float]:
    table = (
        pl.DataFrame({"kind": kinds, "found": found}).group_by("kind", maintain_order=True).agg(pl.col("found").mean())
    )
    return {kind: round(share, 4) for kind, share in table.iter_rows()}
