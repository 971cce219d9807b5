"""Images per second from storage to uint8 batches that are augmented, or cut out of photographs: ours beside what a user might write.

    python benchmarks/input_changed.py          # `python benchmarks/input.py` ends with this
    python benchmarks/input_changed.py --smoke

The plain path decodes pictures of 224 px to 112 px. The photographs have 448 px, with a face box whose crop `loose-1.3` has 224 px. Augmentation
is that of a recipe by default: mirrored, turned, zoomed, shifted, relit; peers make the very changes that are drawn for ours, one picture after the
other. Batches of 64 with labels, one process, one thread, warm memory, except where loader processes are named. With a GPU the row "for a device" is
what counts: the loader decodes and draws, and the device changes the pictures. "Here" is all on this CPU.

Before anything is timed, pixels are compared: ours on both ways must be equal, peers' may differ by how they interpolate at borders.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import NotInstalledError, Round, Variant, jpeg_pictures, machine, ratio, run_variants, serve, timed
from PIL import Image
from torch import Tensor

SIZE, BATCH, UNITS = 112, 64, 12
PICTURE, PHOTOGRAPH, FACE = 224, 448, 172
BOX = ((PHOTOGRAPH - FACE) / 2,) * 2 + ((PHOTOGRAPH + FACE) / 2,) * 2
POLICY = "loose-1.3"
PLAIN = "ours, plain"
COMPARED = 64

Epoch = Callable[[int], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""From the number of an epoch to its batches: row numbers, pixels uint8 [N, 3, S, S], action units."""


@dataclass(frozen=True)
class Data:
    """Pictures, photographs and the crops of the photographs' faces, as loose files.

    Attributes:
        path: of the folder that holds them.
        rows: how many of each.
    """

    path: Path
    rows: int

    @property
    def units(self) -> Tensor:
        """int8 [rows, UNITS]."""
        return torch.from_numpy((np.random.default_rng(0).random((self.rows, UNITS)) < 0.3).astype(np.int8))

    def files(self, kind: str) -> list[bytes]:
        """The JPEGs of a kind in row order."""
        return [file.read_bytes() for file in sorted((self.path / kind).iterdir())]

    def write(self) -> None:
        """All files."""
        from affect_data.faces.detection import DetectedFace
        from affect_data.faces.policies import policy_named

        photographs = jpeg_pictures(self.rows, PHOTOGRAPH, 90)
        face, policy = DetectedFace(BOX, 1.0), policy_named(POLICY)
        crops = [policy.crop_bytes(np.asarray(Image.open(io.BytesIO(data))), face) for data in photographs]
        kinds = {"pictures": jpeg_pictures(self.rows, PICTURE, 90), "photographs": photographs, "crops": crops}
        for kind, files in kinds.items():
            (self.path / kind).mkdir()
            for row, data in enumerate(files):
                (self.path / kind / f"{row:06d}.jpg").write_bytes(data)


def recipe_augmentation() -> Any:  # noqa: ANN401
    """The augmentation of a recipe that says nothing of it."""
    from affect_train.inputs.augment import Augmentation
    from affect_train.recipe.training import AugmentationOptions

    return Augmentation(**AugmentationOptions().model_dump(exclude={"mixup"}))


def orders(rows: int, epoch: int) -> list[list[int]]:
    """Shuffled batches of row numbers."""
    order = np.random.default_rng(epoch).permutation(rows).tolist()
    return [order[start : start + BATCH] for start in range(0, rows, BATCH)]


# ---------------------------------------------------------------- variants


def ours(
    data: Data, kind: str, *, augmented: bool = False, here: bool = True, sent: bool = False, workers: int = 0
) -> Epoch:
    """Our loader over memory maps; `here` changes pictures in the loader, `sent` once they are where the model is."""
    import pyarrow as pa
    from datasets import Dataset

    from affect_data.faces.policies import policy_named
    from affect_train.inputs.batch import Pick
    from affect_train.inputs.inputs import FaceLoader
    from affect_train.inputs.loading import FaceImages
    from affect_train.inputs.preprocess import Preprocessing

    files, uids = [{"bytes": file, "path": None} for file in data.files(kind)], [str(row) for row in range(data.rows)]
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(np.float32(BOX * data.rows)), 4)
    columns = {
        "pictures": {"image": files},
        "photographs": {"image": files, "face_box": boxes},
        "crops": {f"crops.{POLICY}": files},
    }
    file = data.path / f"{kind}.arrow"
    with pa.OSFile(str(file), "wb") as sink:
        table = pa.table({"uid": uids, **columns[kind]})
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    crops = Preprocessing.of_crops(SIZE, policy_named(POLICY))
    preprocessing = crops if kind == "crops" else Preprocessing(SIZE, margin=0.15)
    augmentation = recipe_augmentation() if augmented else None
    images = FaceImages(Dataset.from_file(str(file)), preprocessing, augmentation, changes_later=not here)
    units, order = data.units, list[list[Pick]]()
    loader = FaceLoader(images, order, workers)

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        order[:] = [[Pick(row, number) for row in rows] for rows in orders(data.rows, number)]
        for faces in loader:
            shown = faces.to("cpu") if sent else faces
            yield faces.rows, shown.inputs, units[faces.rows]

    return epoch


def one_by_one(
    data: Data, kind: str, change: Callable[[bytes, np.ndarray | None], np.ndarray], *, augmented: bool
) -> Epoch:
    """A peer: every picture is decoded, cut out and changed by itself."""
    from affect_train.inputs.augment import augmentation_key

    augmentation, files, units = recipe_augmentation(), data.files(kind), data.units

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for rows in orders(data.rows, number):
            keys = [augmentation_key(0, number, 0, str(row)) for row in rows]
            drawn = augmentation.draw(keys, SIZE).values.numpy() if augmented else [None] * len(rows)
            pixels = [change(files[row], values) for row, values in zip(rows, drawn, strict=True)]
            yield torch.tensor(rows), torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), units[rows]

    return epoch


def in_pixels(values: np.ndarray) -> np.ndarray:
    """The affine map from a pixel of the result to one of the source, float [2, 3], that drawn values mean."""
    _, xx, xy, yx, yy, x, y = values[:7]
    half, centre = SIZE / 2, 1 / SIZE - 1
    rows = ((xx, xy, x), (yx, yy, y))
    return np.array([[a, b, half * ((a + b) * centre + shift + 1) - 0.5] for a, b, shift in rows])


def pillow(data: bytes, values: np.ndarray | None, *, boxed: bool = False) -> np.ndarray:
    """Pillow alone, as torchvision's transforms on pictures do."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    side = 1.3 * FACE
    region = (PHOTOGRAPH / 2 - side / 2,) * 2 + (PHOTOGRAPH / 2 + side / 2,) * 2
    image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=region if boxed else None)
    if values is None:
        return np.asarray(image)
    (a, b, c), (d, e, f) = in_pixels(values).tolist()
    # Pillow counts from the corners of pixels, ours from their middles.
    corner = (a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2)
    turned = image.transform((SIZE, SIZE), Image.Transform.AFFINE, corner, Image.Resampling.BILINEAR)
    lift = float(values[8]) * np.asarray(turned).mean()
    levels = np.clip(np.rint(np.arange(256) * float(values[9]) + lift), 0, 255).astype(np.uint8).tolist()
    return np.asarray(turned.point(levels * 3))


def opencv(data: bytes, values: np.ndarray | None) -> np.ndarray:
    """OpenCV on arrays, as albumentations does, with the decoder at half scale."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]
    assert values is not None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(image, in_pixels(values), (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.convertScaleAbs(turned, alpha=float(values[9]), beta=float(values[8] * turned.mean()))


def with_opencv(data: Data) -> Epoch:
    try:
        import cv2
    except ImportError as error:
        raise NotInstalledError(str(error)) from error
    cv2.setNumThreads(1)
    return one_by_one(data, "pictures", opencv, augmented=True)


HERE, LATER = "ours, augmented here", "ours, augmented for a device"
SENT = "ours, augmented where it is sent"
VARIANTS: dict[str, Callable[[Data], Epoch]] = {
    PLAIN: partial(ours, kind="pictures"),
    "Pillow, plain": partial(one_by_one, kind="pictures", change=pillow, augmented=False),
    LATER: partial(ours, kind="pictures", augmented=True, here=False),
    SENT: partial(ours, kind="pictures", augmented=True, here=False, sent=True),
    HERE: partial(ours, kind="pictures", augmented=True),
    "ours, augmented here, 2 processes": partial(ours, kind="pictures", augmented=True, workers=2),
    "Pillow, augmented": partial(one_by_one, kind="pictures", change=pillow, augmented=True),
    "OpenCV, augmented": with_opencv,
    "ours, boxes in photographs": partial(ours, kind="photographs"),
    "ours, stored crops": partial(ours, kind="crops"),
    "ours, stored crops, augmented for a device": partial(ours, kind="crops", augmented=True, here=False),
    "Pillow, boxes in photographs": partial(
        one_by_one, kind="photographs", change=partial(pillow, boxed=True), augmented=False
    ),
}
SMOKE = (PLAIN, SENT, HERE)
EQUAL = (SENT, HERE, "ours, augmented here, 2 processes")
LIKE = {"Pillow, augmented": HERE, "OpenCV, augmented": HERE, "Pillow, plain": PLAIN}


def prepare(name: str, data: Data) -> tuple[dict[str, Any], Callable[[], Round]]:
    """A variant in its own process: the file with the pixels of its first rows, and what runs a round."""
    torch.set_num_threads(1)
    epoch, number = VARIANTS[name](data), 0
    units, seen = data.units, list[int]()
    pixels = np.zeros((min(COMPARED, data.rows), 3, SIZE, SIZE), np.uint8)
    for rows, images, labels in epoch(0):
        if not torch.equal(labels, units[rows]) or images.dtype != torch.uint8:
            raise SystemExit(f"{name}: labels of other rows, or pixels {images.dtype}")
        seen += rows.tolist()
        kept = rows < len(pixels)
        pixels[rows[kept].numpy()] = images[kept].numpy()
    if sorted(seen) != list(range(data.rows)):
        raise SystemExit(f"{name}: {len(set(seen))} of {data.rows} rows in {len(seen)}")
    target = data.path / f"{name}.npy"
    np.save(target, pixels)

    def work() -> int:
        nonlocal number
        number += 1
        return sum(len(rows) for rows, *_ in epoch(number))

    return {"output": str(target)}, lambda: timed(work)


def check(variants: list[Variant]) -> None:
    """Ends the program if our ways differ, and prints by how much peers do."""
    pixels = {variant.name: np.load(variant.described["output"]).astype(int) for variant in variants}
    for name in filter(pixels.__contains__, EQUAL):
        if not np.array_equal(pixels[name], pixels[HERE]):
            raise SystemExit(f"{name}: pixels differ from those of {HERE}")
    for name, reference in LIKE.items():
        if name in pixels:
            # Peers decode whole pictures or interpolate in another way, and Pillow shows black beyond the border.
            inside = np.abs(pixels[name] - pixels[reference])[:, :, 20:-20, 20:-20]
            print(
                f"outputs: {name} and {reference} differ by {inside.mean():.1f} of 255 on average, away from the border"
            )
            if inside.mean() > 8:
                raise SystemExit(f"{name}: not the same changes")


def measure(rows: int, rounds: int, names: Sequence[str] = tuple(VARIANTS)) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        data = Data(Path(folder), rows)
        data.write()
        print(f"\naugmented and boxed, to {SIZE} px: {rows} rows, {rounds} rounds; {machine()}")
        variants = run_variants(__file__, names, ["--data", folder, "--images", str(rows)], rounds, check)
    plain = variants[PLAIN]
    print(f"{'':<46} {'images/s':>9} {'cpu':>9} | {'of plain':>8} {'by cpu':>7}")
    for name, variant in variants.items():
        speed, cpu = (
            np.median([variant.units / max(taken, 1e-9) for taken in times]) for times in (variant.wall, variant.cpu)
        )
        shares = f"{ratio(plain.wall, variant.wall):>8.2f} {ratio(plain.cpu, variant.cpu):>7.2f}"
        shown = f"{cpu:>9,.0f} | {shares}" if "processes" not in name else f"{'':>9} | {shares[:8]}"
        print(f"{name:<46} {speed:>9,.0f} {shown}")
    print(f"load at the end: {machine()}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="a few pictures, one round")
    parser.add_argument("--variant", choices=list(VARIANTS), help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        serve(lambda: prepare(arguments.variant, Data(arguments.data, arguments.images)))
    elif arguments.smoke:
        measure(BATCH, 1, SMOKE)
    else:
        measure(-(-arguments.images // BATCH) * BATCH, arguments.rounds)


if __name__ == "__main__":
    main()
