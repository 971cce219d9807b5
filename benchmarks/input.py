"""Images per second from storage to batches, in one process: our pipeline compared with what a user might choose instead.

    python benchmarks/input.py
    python benchmarks/input.py --smoke                  # tiny; shows that it runs, measures nothing

Every variant delivers shuffled batches of 64 with labels, float32, normalised, 112 px; the rows under "uint8" leave the normalisation to the model,
and the limit only decodes. Pictures are generated (`common.jpeg_pictures`) and read from warm memory. webdataset, litdata and pylance are measured
if they are installed. The papers' code is rewritten after their public loaders: a file for each picture, Pillow, Resize, ToTensor, Normalize, torch's
own collation.

Augmentation and face boxes follow, from `input_changed.py`.

Within a decoder all outputs must be equal before anything is timed; what decoding at reduced scale changes is printed in pixels.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import input_changed
import numpy as np
import torch
from common import (
    NotInstalledError,
    Round,
    Variant,
    anonymous_memory,
    face_dataset,
    jpeg_pictures,
    machine,
    ratio,
    serve,
    timed,
)
from common import run_variants as run
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

OUTPUT_SIZE = 112
BATCH = 64
UNITS = 12
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUALITY = {224: 90, 112: 95}
COMPARED = 48
"""Rows whose pixels the parent compares."""

Batch = tuple[Tensor, Tensor, Tensor]
"""Row numbers, pixels, action units."""
Epoch = Callable[[int], Iterator[Batch]]
"""From the number of an epoch to its batches."""


@dataclass(frozen=True)
class Data:
    """The same pictures in every form.

    Attributes:
        path: of the folder that holds them.
        rows: how many.
    """

    path: Path
    rows: int

    @property
    def units(self) -> np.ndarray:
        """int8 [rows, UNITS]."""
        return (np.random.default_rng(0).random((self.rows, UNITS)) < 0.3).astype(np.int8)

    def files(self) -> list[bytes]:
        """The JPEGs in row order."""
        return [file.read_bytes() for file in sorted((self.path / "loose").iterdir())]

    def write(self, size: int) -> None:
        """Loose files, and our dataset folder."""
        files = jpeg_pictures(self.rows, size, QUALITY[size])
        (self.path / "loose").mkdir(parents=True)
        for row, data in enumerate(files):
            (self.path / "loose" / f"{row:06d}.jpg").write_bytes(data)
        face_dataset(self.path / "merged", files, self.units)

    def hub_dataset(self) -> Any:  # noqa: ANN401 - datasets is untyped
        """The same memory maps as an ordinary Hugging Face dataset: image, and au as lists, as others store them."""
        from datasets import Dataset, Features, List, Value, concatenate_datasets

        from affect_data.dataset.loading import load_dataset

        images = load_dataset(self.path / "merged", "train").select_columns(["image"])
        units = {"au": List(Value("int8"), length=self.units.shape[1])}
        labels = Dataset.from_dict({"au": self.units.tolist()}, features=Features(units))
        return concatenate_datasets([images, labels], axis=1)


# ---------------------------------------------------------------- what variants share


def to_tensor(image: Any) -> Tensor:  # noqa: ANN401 - a Pillow image
    """A float32 tensor [3, H, W] in [0, 1], as torchvision's ToTensor gives it."""
    return torch.from_numpy(np.array(image, copy=True)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


def resized(image: Any) -> Any:  # noqa: ANN401
    """The picture at the output size, bilinear, as torchvision's Resize gives it."""
    from PIL import Image

    return image if image.size == (OUTPUT_SIZE,) * 2 else image.resize((OUTPUT_SIZE,) * 2, Image.Resampling.BILINEAR)


def normalise(images: Tensor) -> Tensor:
    """The pictures minus the mean, divided by the deviation, as torchvision's Normalize gives them."""
    shape = (3, 1, 1)
    return images.clone().sub_(torch.tensor(MEAN).view(shape)).div_(torch.tensor(STD).view(shape))


def plain_batch(pixels: list[np.ndarray]) -> Tensor:
    """uint8 [S, S, 3] arrays to a normalised batch, the usual way."""
    return normalise(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(torch.float32).div(255))


def flat_batch(pixels: list[np.ndarray]) -> Tensor:
    """The same by the normalisation that our model uses."""
    from affect_train.network.reading import normalised

    return normalised(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), *scale_and_shift())


def scale_and_shift() -> tuple[Tensor, Tensor]:
    """What our model's normalisation multiplies by and adds."""
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return (1 / (255 * std)).view(1, 3, 1, 1), (-mean / std).view(1, 3, 1, 1)


def fast_decode(data: bytes | memoryview) -> np.ndarray:
    """uint8 [112, 112, 3] by the decoder that our pipeline uses, at the scale that it uses."""
    import simplejpeg

    return simplejpeg.decode_jpeg(data, "RGB", min_height=OUTPUT_SIZE, min_width=OUTPUT_SIZE)


def orders(rows: int, epoch: int) -> list[list[int]]:
    """Shuffled batches of row numbers."""
    order = np.random.default_rng(epoch).permutation(rows).tolist()
    return [order[start : start + BATCH] for start in range(0, rows, BATCH)]


class Rows(TorchDataset[Any]):
    """One item for each row through torch's DataLoader, as in tutorials."""

    def __init__(self, rows: int, load: Callable[[int], tuple[Tensor, Any]]) -> None:
        self.rows, self.load = rows, load

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> tuple[int, Tensor, Any]:
        return (row, *self.load(row))


def by_rows(data: Data, load: Callable[[int], tuple[Tensor, Any]]) -> Epoch:
    return lambda _: iter(DataLoader(Rows(data.rows, load), batch_size=BATCH, shuffle=True))


# ---------------------------------------------------------------- variants


def limit(data: Data) -> Epoch:
    files = data.files()
    return lambda epoch: (
        (torch.tensor(rows), [fast_decode(files[row]) for row in rows], None) for rows in orders(data.rows, epoch)
    )  # type: ignore[misc]


def papers(data: Data) -> Epoch:
    from PIL import Image

    names = [str(file) for file in sorted((data.path / "loose").iterdir())]
    items = [{"path": name, "au": units} for name, units in zip(names, data.units, strict=True)]

    def load(row: int) -> tuple[Tensor, Any]:
        image = Image.open(items[row]["path"]).convert("RGB")
        return normalise(to_tensor(resized(image))), items[row]["au"]

    return by_rows(data, load)


def datasets_transform(data: Data) -> Epoch:
    dataset = data.hub_dataset()

    def transform(rows: dict[str, Any]) -> dict[str, Any]:
        images = [normalise(to_tensor(resized(image.convert("RGB")))) for image in rows["image"]]
        return {"image": images, "au": [np.array(units[:UNITS], dtype=np.int8) for units in rows["au"]]}

    dataset.set_transform(transform)
    return by_rows(data, lambda row: ((found := dataset[row])["image"], found["au"]))


def datasets_torch(data: Data) -> Epoch:
    dataset = data.hub_dataset().with_format("torch")

    def load(row: int) -> tuple[Tensor, Any]:
        found = dataset[row]
        image = found["image"]
        if image.shape[-1] != OUTPUT_SIZE:
            image = torch.nn.functional.interpolate(
                image[None], size=(OUTPUT_SIZE,) * 2, mode="bilinear", antialias=True
            )[0]
        return normalise(image.to(torch.float32).div(255)), found["au"][:UNITS]

    return by_rows(data, load)


def datasets_bytes(data: Data) -> Epoch:
    from datasets import Image

    dataset = data.hub_dataset().cast_column("image", Image(decode=False))

    def epoch(number: int) -> Iterator[Batch]:
        for rows in orders(data.rows, number):
            found = dataset[rows]
            pixels = [fast_decode(image["bytes"]) for image in found["image"]]
            yield torch.tensor(rows), plain_batch(pixels), torch.tensor(found["au"])[:, :UNITS]

    return epoch


def web_dataset(data: Data) -> Epoch:
    try:
        import webdataset as wds
    except ImportError as error:
        raise NotInstalledError(str(error)) from error
    target = data.path / "pictures.tar"
    with wds.TarWriter(str(target)) as sink:
        for row, (picture, units) in enumerate(zip(data.files(), data.units, strict=True)):
            sink.write({"__key__": f"{row:06d}", "jpg": picture, "units": units.tobytes()})

    def collated(samples: list[Any]) -> Batch:
        rows = torch.tensor([int(sample["__key__"]) for sample in samples])
        units = torch.from_numpy(np.stack([np.frombuffer(sample["units"], np.int8) for sample in samples]))
        return rows, plain_batch([fast_decode(sample["jpg"]) for sample in samples]), units

    return lambda _: iter(
        wds.WebDataset(str(target), shardshuffle=False).shuffle(1000).batched(BATCH, collation_fn=collated)
    )


def lit_data(data: Data, batched: Callable[[list[np.ndarray]], Tensor] = plain_batch) -> Epoch:
    try:
        import litdata
        from litdata.streaming.cache import Cache
    except ImportError as error:
        raise NotInstalledError(str(error)) from error
    target = data.path / f"litdata-{batched.__name__}"
    cache = Cache(str(target), chunk_bytes="64MB")
    for row, (picture, units) in enumerate(zip(data.files(), data.units, strict=True)):
        cache[row] = {"row": row, "picture": picture, "units": units.tobytes()}
    cache.done()
    cache.merge()

    def collated(samples: list[Any]) -> Batch:
        units = torch.from_numpy(np.stack([np.frombuffer(sample["units"], np.int8) for sample in samples]))
        rows = torch.tensor([sample["row"] for sample in samples])
        return rows, batched([fast_decode(sample["picture"]) for sample in samples]), units

    dataset = litdata.StreamingDataset(str(target), shuffle=True)
    return lambda _: iter(litdata.StreamingDataLoader(dataset, batch_size=BATCH, collate_fn=collated))


def lit_data_flat(data: Data) -> Epoch:
    return lit_data(data, flat_batch)


def lance_dataset(data: Data) -> Epoch:
    try:
        import lance
    except ImportError as error:
        raise NotInstalledError(str(error)) from error
    import pyarrow as pa

    units = pa.FixedSizeListArray.from_arrays(pa.array(data.units.reshape(-1)), UNITS)
    table = pa.table({"picture": pa.array(data.files(), pa.binary()), "units": units})
    dataset = lance.write_dataset(table, str(data.path / "pictures.lance"))

    def epoch(number: int) -> Iterator[Batch]:
        for rows in orders(data.rows, number):
            found = dataset.take(rows)
            pixels = [fast_decode(picture) for picture in found["picture"].to_pylist()]
            labels = found["units"].combine_chunks().flatten().to_numpy().reshape(-1, UNITS)
            yield torch.tensor(rows), plain_batch(pixels), torch.tensor(labels)

    return epoch


def ours(data: Data, *, floats: bool = True, reduced_scale: bool = True, threads: int = 1) -> Epoch:
    from affect_data.dataset.folder import open_dataset
    from affect_data.vocabulary import ACTION_UNITS
    from affect_train.inputs.inputs import FaceLoader
    from affect_train.inputs.labels import load_labels
    from affect_train.inputs.loading import FaceImages
    from affect_train.inputs.preprocess import Preprocessing
    from affect_train.inputs.sampler import BatchOrder
    from affect_train.network.reading import normalised
    from affect_train.tasks import TaskSet

    tasks = TaskSet(tuple(ACTION_UNITS[:UNITS]), (), 0)
    dataset, labels = load_labels(open_dataset(data.path / "merged"), "train", tasks)
    images = FaceImages(dataset, Preprocessing(OUTPUT_SIZE, reduced_scale=reduced_scale), threads=threads)
    order = BatchOrder({"rows": np.arange(data.rows)}, BATCH, seed=0)
    loader, (scale, shift) = FaceLoader(images, order), scale_and_shift()

    def epoch(number: int) -> Iterator[Batch]:
        order.set_position(number)
        for faces in loader:
            batch = labels.batch(faces)
            pixels = normalised(batch.inputs, scale, shift) if floats else batch.inputs
            yield batch.rows, pixels, batch.au

    return epoch


LIMIT, PAPERS, TRANSFORM, TORCH = "decode alone", "papers' code", "datasets, transform", "datasets, torch format"
OURS, OURS_BYTES = "ours", "ours, uint8"
THREADS, BYTES_THREADS = "ours, 2 threads", "ours, uint8, 2 threads"
EXACT = "ours, full decode"
PEERS_WITH_OUR_DECODER = ("datasets, bytes", "webdataset", "litdata", "Lance")
LIT_FLAT = "litdata, our normalisation"

VARIANTS: dict[str, Callable[[Data], Epoch]] = {
    LIMIT: limit,
    PAPERS: papers,
    TRANSFORM: datasets_transform,
    TORCH: datasets_torch,
    "datasets, bytes": datasets_bytes,
    "webdataset": web_dataset,
    "litdata": lit_data,
    LIT_FLAT: lit_data_flat,
    "Lance": lance_dataset,
    OURS: ours,
    EXACT: lambda data: ours(data, reduced_scale=False),
    THREADS: lambda data: ours(data, threads=2),
    OURS_BYTES: lambda data: ours(data, floats=False),
    BYTES_THREADS: lambda data: ours(data, floats=False, threads=2),
}
SMOKE = (LIMIT, PAPERS, TORCH, "datasets, bytes", OURS, OURS_BYTES)
PILLOW_GROUP = (PAPERS, TRANSFORM, TORCH, EXACT)
"""These decode whole pictures and resize them; the others decode at half scale."""


# ---------------------------------------------------------------- one variant, in its own process


def prepare(name: str, data: Data) -> tuple[dict[str, Any], Callable[[], Round]]:
    torch.set_num_threads(1)
    epoch, number = VARIANTS[name](data), 0
    shown = None if name == LIMIT else delivered(name, data, epoch(0))

    def work() -> int:
        nonlocal number
        number += 1
        return sum(len(rows) for rows, *_ in epoch(number))

    work()
    return {"output": shown, "memory": anonymous_memory()}, lambda: timed(work)


def delivered(name: str, data: Data, batches: Iterator[Batch]) -> str:
    """The file with the pixels of the first rows; makes sure that every row is delivered once, with its own labels."""
    seen: list[int] = []
    pixels = torch.zeros((min(COMPARED, data.rows), 3, OUTPUT_SIZE, OUTPUT_SIZE))
    for rows, images, units in batches:
        if not np.array_equal(np.asarray(units), data.units[rows.numpy()]):
            raise SystemExit(f"{name}: labels of other rows")
        if images.shape != (len(rows), 3, OUTPUT_SIZE, OUTPUT_SIZE):
            raise SystemExit(f"{name}: a batch has the shape {list(images.shape)}")
        seen += rows.tolist()
        kept = rows < len(pixels)
        scale, shift = scale_and_shift()
        values = images if images.dtype == torch.float32 else images.float() * scale + shift
        pixels[rows[kept]] = values[kept]
    if sorted(seen) != list(range(data.rows)):
        raise SystemExit(f"{name}: {len(set(seen))} of {data.rows} rows in {len(seen)}")
    target = data.path / f"{name}.npy"
    np.save(target, pixels.numpy())
    return str(target)


# ---------------------------------------------------------------- all variants


def check_outputs(variants: list[Variant]) -> None:
    """Ends the program if variants with the same decoder differ, and prints what decoding at reduced scale changes."""
    pixels = {variant.name: np.load(variant.described["output"]) for variant in variants if variant.described["output"]}
    levels = 255 * np.array(STD)[:, None, None]
    for group, reference in ((PILLOW_GROUP, PAPERS), (set(pixels) - set(PILLOW_GROUP), OURS)):
        for name in filter(pixels.__contains__, group):
            difference = np.abs(pixels[name] - pixels[reference]) * levels
            # Our full decoding gives Pillow's resize a box, torch's resize rounds elsewhere: one level of 255.
            if difference.max() > (1.01 if name in PILLOW_GROUP else 1e-3):
                raise SystemExit(
                    f"{name}: pixels differ from those of {reference} by up to {difference.max():.3f} of 255"
                )
    difference = (pixels[OURS] - pixels[PAPERS]) * levels
    error = (difference**2).mean(axis=(1, 2, 3))
    if np.abs(difference).max() < 1e-3:
        print("outputs: all variants' pixels are equal")
        return
    noise = 10 * np.log10(255**2 / error)
    print(
        "outputs: reduced-scale decoding against Pillow's full decoding and resize: mean absolute difference "
        f"{np.abs(difference).mean():.2f} of 255, largest {np.abs(difference).max():.0f}, "
        f"PSNR median {np.median(noise):.1f} dB, 5th percentile {np.percentile(noise, 5):.1f} dB"
    )


def measure(size: int, rows: int, rounds: int, names: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Data(Path(folder), rows)
        data.write(size)
        total = sum(map(len, data.files()))
        print(
            f"\n{size} px to {OUTPUT_SIZE} px: {rows} JPEGs of {total / rows / 1000:.1f} kB, {rounds} rounds; {machine()}"
        )
        arguments = ["--data", folder, "--images", str(rows)]
        variants = run(__file__, names, arguments, rounds, check_outputs)
        report(variants)
        loader_process_memory(data, passes=max(2, rounds))
    print(f"load at the end: {machine()}")


def report(variants: dict[str, Variant]) -> None:
    ours_wall, ours_cpu, base = variants[OURS].wall, variants[OURS].cpu, variants[LIMIT]
    print(
        f"{'':<28} {'images/s':>9} {'min..max':>15} {'cpu':>9} | {'ours is':>8} {'by cpu':>7} | {'of decode':>9} {'by cpu':>7} | {'grew MB':>7}"
    )
    for name, variant in variants.items():
        speeds = sorted(variant.units / wall for wall in variant.wall)
        middle, cpu = np.median(speeds), np.median([variant.units / max(taken, 1e-9) for taken in variant.cpu])
        grew = (variant.memory[-1] - variant.memory[0]) / 1e6
        print(
            f"{name:<28} {middle:>9,.0f} {f'{speeds[0]:,.0f}..{speeds[-1]:,.0f}':>15} {cpu:>9,.0f} | "
            f"{ratio(variant.wall, ours_wall):>7.2f}x {ratio(variant.cpu, ours_cpu):>6.2f}x | "
            f"{ratio(base.wall, variant.wall):>9.2f} {ratio(base.cpu, variant.cpu):>7.2f} | {grew:>7.1f}"
        )
    rivals = [variants[name] for name in PEERS_WITH_OUR_DECODER if name in variants]
    best = min(rivals, key=lambda variant: float(np.median(variant.cpu)))
    print(
        f"ours / papers' code {ratio(variants[PAPERS].wall, ours_wall):.2f} (cpu {ratio(variants[PAPERS].cpu, ours_cpu):.2f}), "
        f"/ datasets' torch format {ratio(variants[TORCH].wall, ours_wall):.2f} (cpu {ratio(variants[TORCH].cpu, ours_cpu):.2f}), "
        f"/ best peer with our decoder ({best.name}) {ratio(best.wall, ours_wall):.2f} (cpu {ratio(best.cpu, ours_cpu):.2f}); "
        f"uint8 / decode alone {ratio(base.wall, variants[OURS_BYTES].wall):.2f} (cpu {ratio(base.cpu, variants[OURS_BYTES].cpu):.2f})"
    )


def loader_process_memory(data: Data, passes: int) -> None:
    """Anonymous memory of a loader process after its first pass over all rows and after its last."""
    from affect_data.dataset.loading import load_dataset
    from affect_train.inputs.inputs import FaceLoader
    from affect_train.inputs.loading import FaceImages
    from affect_train.inputs.preprocess import Preprocessing
    from affect_train.inputs.sampler import BatchOrder

    order = BatchOrder({"rows": np.arange(data.rows)}, BATCH, seed=0)
    images = FaceImages(load_dataset(data.path / "merged", "train"), Preprocessing(OUTPUT_SIZE))
    loader = FaceLoader(images, order, workers=1)
    memory = []
    for epoch in range(passes):
        order.set_position(epoch)
        for _ in loader:
            pass
        memory.append(max(anonymous_memory(child.pid or "self") for child in multiprocessing.active_children()))
    first, last = memory[0] / 1e6, memory[-1] / 1e6
    print(
        f"a loader process holds {first:.1f} MB of its own after 1 pass, {last:.1f} MB after {passes}: {last - first:+.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(QUALITY), default=[224, 112])
    parser.add_argument("--images", type=int, default=1500, help="rounded up to whole batches")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="a few pictures, one round")
    parser.add_argument("--variant", choices=list(VARIANTS), help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        serve(lambda: prepare(arguments.variant, Data(arguments.data, arguments.images)))
        return
    if arguments.smoke:
        measure(224, 2 * BATCH, 1, SMOKE)
        return
    rows = -(-arguments.images // BATCH) * BATCH
    for size in arguments.sizes:
        measure(size, rows, arguments.rounds, list(VARIANTS))
    input_changed.measure(rows, arguments.rounds)


if __name__ == "__main__":
    main()
