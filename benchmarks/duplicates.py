"""Perceptual hashes compared with ImageHash, and the search for pairs of near hashes compared with brute force and faiss.

    python benchmarks/duplicates.py
    python benchmarks/duplicates.py --codes 100000 --rounds 3
    python benchmarks/duplicates.py --ferplus PATH        # also: copies of real faces, grouped (recall, precision)
    python benchmarks/duplicates.py --dataset DATASET --backbone PATH      # also: copies found by stored features
    python benchmarks/duplicates.py --copies-only ...     # without the timings

Outputs are compared before anything is timed. Times are medians over interleaved rounds in one process; compare ratios of one run. faiss
(`pip install faiss-cpu`) is measured where it is installed.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import imagehash  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from affect_data.audit.pictures import copies  # noqa: E402
from affect_data.audit.pictures.copies import RADIUS, mirrored_pairs, near_pairs  # noqa: E402
from affect_data.audit.pictures.hamming import pairs_within  # noqa: E402
from affect_data.audit.pictures.hashing import decode_grey, hash_small, perceptual_hashes, small_picture  # noqa: E402
from affect_data.leaks.connected import connected_components  # noqa: E402


def interleaved(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each variant; one round runs all of them in turn."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def noise_photograph(seed: int, side: int) -> bytes:
    """A JPEG in colour about as large as a photograph's: noise whose amplitude falls with the frequency, its colours weaker than its brightness."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(4, side, side))) / frequency**1.5, (side, side))
    noise /= noise.std(axis=(1, 2), keepdims=True)
    pixels = (128 + 45 * noise[:1] + 12 * noise[1:]).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG", quality=90)
    return sink.getvalue()


def hashing(pictures: int, side: int, rounds: int) -> dict[str, object]:
    data = [noise_photograph(seed, side) for seed in range(pictures)]

    def theirs() -> list[int]:
        return [int(str(imagehash.phash(Image.open(io.BytesIO(d)))), 16) for d in data]

    distance = np.bitwise_count(perceptual_hashes(data) ^ np.array(theirs(), np.uint64))
    seconds = interleaved({"imagehash": theirs, "affectkit": lambda: perceptual_hashes(data)}, rounds)
    rates = {name: round(pictures / value) for name, value in seconds.items()}
    return {
        "pixels": side,
        "kilobytes": round(sum(map(len, data)) / pictures / 1000, 1),
        "pictures_per_second": rates,
        "ratio": round(seconds["imagehash"] / seconds["affectkit"], 2),
        "bits_apart": {"mean": round(float(distance.mean()), 3), "p95": float(np.percentile(distance, 95))},
    }


def planted_codes(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**64, count, dtype=np.uint64)
    planted = count // 50
    near = codes[:planted].copy()
    for _ in range(RADIUS):
        bit = np.uint64(1) << rng.integers(0, 64, planted).astype(np.uint64)
        near ^= np.where(rng.random(planted) < 0.7, bit, np.uint64(0))
    codes[planted : 2 * planted] = near
    return codes


def brute_pairs(codes: np.ndarray, queries: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of some rows with all rows, by comparing each with each."""
    found = set()
    for row in queries:
        near = np.nonzero(np.bitwise_count(codes ^ codes[row]) <= RADIUS)[0]
        found |= {(min(row, other), max(row, other)) for other in near.tolist() if other != row}
    return {(int(a), int(b)) for a, b in found}


def searching(count: int, rounds: int) -> dict[str, object]:
    codes = planted_codes(count)
    first, second, _ = pairs_within(codes, RADIUS)
    ours = set(zip(first.tolist(), second.tolist(), strict=True))
    queries = np.random.default_rng(1).choice(count, min(count, 400), replace=False)
    asked = set(queries.tolist())
    brute = brute_pairs(codes, queries)
    equal_to_brute = brute == {pair for pair in ours if pair[0] in asked or pair[1] in asked}
    start = time.perf_counter()
    brute_pairs(codes, queries)
    brute_seconds = (time.perf_counter() - start) * count / len(queries) / 2
    report: dict[str, object] = {
        "codes": count,
        "pairs": len(ours),
        "equal_to_brute_force_on_a_sample": equal_to_brute,
        "brute_force_seconds_extrapolated": round(brute_seconds),
    }
    variants: dict[str, Callable[[], object]] = {"affectkit": lambda: pairs_within(codes, RADIUS)}
    try:
        import faiss
    except ImportError:
        report["faiss"] = "not installed"
    else:
        theirs = faiss_pairs(faiss, codes)
        report["equal_to_faiss"] = theirs == ours
        variants["faiss IndexBinaryMultiHash"] = lambda: faiss_range(faiss, codes)
    seconds = interleaved(variants, rounds)
    report["seconds"] = {name: round(value, 2) for name, value in seconds.items()}
    report["ratio_to_brute_force"] = round(brute_seconds / seconds["affectkit"])
    if len(seconds) > 1:
        report["ratio_to_faiss"] = round(seconds["faiss IndexBinaryMultiHash"] / seconds["affectkit"], 2)
    return report


def faiss_range(faiss: object, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A search that is exact for the radius: three hashes of 21 bits, with as many flipped bits as that takes."""
    index = faiss.IndexBinaryMultiHash(64, 3, 21)  # type: ignore[attr-defined]
    index.nflip = RADIUS // 3
    packed = codes.view(np.uint8).reshape(-1, 8)
    index.add(packed)
    limits, _, labels = index.range_search(packed, RADIUS + 1)
    return limits, labels, codes


def faiss_pairs(faiss: object, codes: np.ndarray) -> set[tuple[int, int]]:
    limits, labels, _ = faiss_range(faiss, codes)
    query = np.repeat(np.arange(len(codes)), np.diff(limits.astype(np.int64)))
    keep = (query < labels) & (np.bitwise_count(codes[query] ^ codes[labels]) <= RADIUS)
    return set(zip(query[keep].tolist(), labels[keep].tolist(), strict=True))


def copies_of(picture: Image.Image, rng: np.random.Generator) -> dict[str, Image.Image]:
    """Copies by kind: cropped ones lack 0 to 3 of 48 pixels a side, turned ones lean 10 to 20 degrees, moved ones are 8 % off."""
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=int(rng.integers(40, 90)))
    side = round(picture.width * rng.uniform(0.5, 2.0))
    gain = rng.uniform(0.7, 1.3)
    right_by, down = (float(0.08 * picture.width * rng.choice([-1, 1])) for _ in range(2))
    across = (right_by, 0)
    left, top, right, bottom = (int(margin) for margin in rng.integers(0, 4, 4))
    return {
        "recompressed": Image.open(io.BytesIO(sink.getvalue())),
        "resized": picture.resize((side, side), Image.Resampling.BICUBIC),
        "brightness": picture.point(lambda value: min(255, int(value * gain))),
        "cropped": picture.crop((left, top, picture.width - right, picture.height - bottom)),
        "grey as colour": picture.convert("RGB"),
        "mirrored": picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "turned": picture.rotate(float(rng.uniform(10, 20) * rng.choice([-1, 1])), Image.Resampling.BICUBIC),
        "moved": picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, *across, 1, down)),
        "brighter": picture.point(lambda value: min(255, int(value * 1.3))),
    }


def real_faces(root: Path, originals: int) -> dict[str, object]:
    """Copies of real faces, grouped among other real faces.

    FER+ holds copies already. Groups that the originals form among themselves are found first; a pair of a planted copy and a face outside its
    original's group is counted as wrong.
    """
    files = sorted(root.glob("FER2013*/*.png"))
    rng = np.random.default_rng(0)
    chosen = [files[i] for i in rng.choice(len(files), min(originals, len(files)), replace=False)]
    faces = [Image.open(path).convert("L") for path in chosen]
    small = [small_picture(np.asarray(face)) for face in faces]
    owner, kinds = list(range(len(faces))), ["original"] * len(faces)
    for number, face in enumerate(faces):
        for kind, copy in copies_of(face, rng).items():
            sink = io.BytesIO()
            # The mirrored copy is stored as web pictures are.
            copy.save(sink, *(("JPEG",) if kind == "mirrored" else ("PNG",)))
            small.append(small_picture(decode_grey(sink.getvalue())))
            owner.append(number)
            kinds.append(kind)
    stacked, owners = np.stack(small), np.array(owner)
    known = connected_components(len(faces), *all_pairs(stacked[: len(faces)]))
    start = time.perf_counter()
    first, second = all_pairs(stacked)
    seconds = time.perf_counter() - start
    groups = connected_components(len(stacked), first, second)
    truth = known[owners]
    grouped = groups[owners]
    recall = {
        kind: round(float(np.mean([groups[i] == grouped[i] for i, k in enumerate(kinds) if k == kind])), 4)
        for kind in dict.fromkeys(kinds)
        if kind != "original"
    }
    made = np.array(kinds) != "original"
    planted = made[first] | made[second]
    return {
        "originals": len(faces),
        "copies": int(made.sum()),
        "seconds": round(seconds, 1),
        "recall": round(float((groups == grouped)[made].mean()), 4),
        "recall_by_kind": recall,
        "precision_of_pairs": round(float((truth[first] == truth[second])[planted].mean()), 4),
        "precision_of_groups": round(_pair_precision(groups, truth), 4),
        "groups_among_the_originals": int(len(faces) - len(np.unique(known))),
    }


def all_pairs(small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Near and mirrored copies."""
    hashes = hash_small(small)
    found = [near_pairs(small, hashes)[:2], mirrored_pairs(small, hashes)[:2]]
    return np.concatenate([pairs[0] for pairs in found]), np.concatenate([pairs[1] for pairs in found])


def _pair_precision(groups: np.ndarray, truth: np.ndarray) -> float:
    """Share of the pairs within found groups that are of one true group."""
    _, both = np.unique(np.stack([groups, truth], axis=1), axis=0, return_counts=True)
    _, found = np.unique(groups, return_counts=True)
    pairs = float((found * (found - 1)).sum())
    return float((both * (both - 1)).sum()) / pairs if pairs else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ferplus", type=Path, help="the official folder of FER+")
    parser.add_argument("--originals", type=int, default=4000)
    parser.add_argument("--dataset", type=Path, help="a dataset folder with features of the backbone")
    parser.add_argument("--backbone", help="a folder of transformers or a Hub id")
    parser.add_argument("--embedded", type=int, default=400, help="faces whose copies are embedded")
    parser.add_argument(
        "--as-large", action="store_true", help="search for copies as in a dataset of more than 100,000 pictures"
    )
    parser.add_argument("--copies-only", action="store_true", help="leave the timings out")
    options = parser.parse_args()
    if (options.dataset is None) != (options.backbone is None):
        parser.error("--dataset and --backbone go together")
    if options.as_large:
        copies.LARGE = 0  # type: ignore[misc]
    report: dict[str, object] = {}
    if not options.copies_only:
        report["hashing"] = [hashing(options.pictures, side, options.rounds) for side in (112, 224)]
        report["searching"] = searching(options.codes, options.rounds)
    if options.ferplus:
        report["real_faces"] = real_faces(options.ferplus, options.originals)
    if options.dataset:
        from copies_by_embedding import embedded_copies

        report["embedded"] = embedded_copies(options.dataset, options.backbone, options.embedded)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
