"""Packing pictures: what a build does with the files of a database, compared with what a user might choose instead.

    python benchmarks/build.py                          # 40,000 JPEGs of 112 px
    python benchmarks/build.py --part again             # and building again over the dataset, after each of several changes
    python benchmarks/build.py --smoke                  # tiny; shows that it runs, measures nothing

Every variant turns the same folder of files into one store that holds their names and bytes as found. Before anything is timed, all variants pack a
part of the files, and what they stored is read back: names and bytes must be equal. Ours also takes the sha256 of every picture, writes its labels,
and flushes all files to disk; "no check" leaves only decoding out. Files are in the page cache. Every measurement has a fresh process, which has
imported its libraries and packed a few files before the clock starts; processor time counts all processes of a variant.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from common import ONE_THREAD, REPOSITORY, NotInstalledError, jpeg_pictures, machine

SIZE: Final = 112
QUALITY: Final = 92
DRAWN: Final = 500
"""Pictures that are drawn; the files are copies of them, each with another comment."""
COMPARED: Final = 2000
"""Files that are packed and read back before anything is timed."""
WARMED: Final = 50
PICTURES: Final = "image/origin"

Pair = tuple[str, bytes]


@dataclass(frozen=True)
class Packing:
    """What a variant does.

    Attributes:
        pack: writes the named files of a folder to an empty folder.
        read: what such a folder holds.
    """

    pack: Callable[[Path, list[str], Path], None]
    read: Callable[[Path], Iterator[Pair]]


# ---------------------------------------------------------------- the files


def draw(root: Path, count: int) -> None:
    """A copy of ExpW of so many pictures."""
    drawn = jpeg_pictures(min(count, DRAWN), SIZE, QUALITY)
    folder, lines = root / PICTURES, []
    folder.mkdir(parents=True)
    (root / "label").mkdir()
    for number in range(count):
        data, comment = drawn[number % len(drawn)], b"%06d" % number
        marked = data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + data[2:]
        (folder / f"p{number:06d}.jpg").write_bytes(marked)
        lines.append(f"p{number:06d}.jpg 0 1 2 {SIZE} {SIZE} 20.5 {number % 7}\n")
    (root / "label/label.lst").write_text("".join(lines))


# ---------------------------------------------------------------- the variants


def plain_copy(root: Path, names: list[str], out: Path) -> None:
    """All files one behind the other: the least that packing can do in Python."""
    with (out / "all").open("wb") as sink:
        for name in names:
            with (root / PICTURES / name).open("rb") as file:
                data = file.read()
            sink.write(f"{name} {len(data)}\n".encode() + data)


def read_plain_copy(out: Path) -> Iterator[Pair]:
    """What `plain_copy` wrote."""
    with (out / "all").open("rb") as file:
        while line := file.readline():
            name, length = line.decode().split()
            yield name, file.read(int(length))


def tar(root: Path, names: list[str], out: Path) -> None:
    """The program tar."""
    command = ["tar", "-cf", str(out / "all.tar"), "-C", str(root / PICTURES), "-T", "-"]
    subprocess.run(command, input="\n".join(names), text=True, check=True)


def read_tar(out: Path) -> Iterator[Pair]:
    """The members of the archive."""
    import tarfile

    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                yield member.name, content.read()


def hf_map(root: Path, names: list[str], out: Path) -> None:
    """`datasets`: a batched map that returns bytes."""
    from datasets import Dataset, Features, Value

    def with_bytes(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        return {"bytes": [(root / PICTURES / name).read_bytes() for name in batch["name"]]}

    features = Features({"name": Value("string"), "bytes": Value("binary")})
    cache = str(out / "packed.arrow")
    listed = Dataset.from_dict({"name": names})
    listed.map(with_bytes, batched=True, batch_size=1000, features=features, cache_file_name=cache)


def from_generator(root: Path, names: list[str], out: Path) -> None:
    """`datasets`: a generator of rows, stored as pictures."""
    from datasets import Dataset, Features, Image

    def rows() -> Iterator[dict[str, Any]]:
        for name in names:
            yield {"image": {"path": name, "bytes": (root / PICTURES / name).read_bytes()}}

    Dataset.from_generator(rows, features=Features({"image": Image()}), cache_dir=str(out))


def bytes_from_generator(root: Path, names: list[str], out: Path) -> None:
    """`datasets`: a generator of rows, stored as bytes that nothing knows to be pictures."""
    from datasets import Dataset, Features, Value

    def rows() -> Iterator[dict[str, Any]]:
        for name in names:
            yield {"name": name, "bytes": (root / PICTURES / name).read_bytes()}

    features = Features({"name": Value("string"), "bytes": Value("binary")})
    Dataset.from_generator(rows, features=features, cache_dir=str(out))


def folder_reader(root: Path, names: list[str], out: Path) -> None:
    """`datasets`: its own reader of folders of pictures, saved with the bytes."""
    from datasets import Dataset, Image

    paths = [str(root / PICTURES / name) for name in names]
    Dataset.from_dict({"image": paths}).cast_column("image", Image(decode=False)).save_to_disk(str(out / "saved"))


def read_arrow(out: Path) -> Iterator[Pair]:
    """The rows of the Arrow files of `datasets`."""
    import pyarrow as pa

    for path in sorted(out.rglob("*.arrow")):
        with pa.memory_map(str(path)) as source:
            for row in pa.ipc.open_stream(source).read_all().to_pylist():
                row = row.get("image", row)
                yield Path(row.get("name") or row["path"]).name, row["bytes"]


def web_dataset(root: Path, names: list[str], out: Path) -> None:
    """webdataset: archives of samples."""
    try:
        import webdataset
    except ImportError as error:
        raise NotInstalledError(str(error)) from None
    with webdataset.TarWriter(str(out / "all.tar")) as sink:
        for name in names:
            sink.write({"__key__": name.removesuffix(".jpg"), "jpg": (root / PICTURES / name).read_bytes()})


def lit_data(root: Path, names: list[str], out: Path) -> None:
    """litdata: chunks, by its writer in this process."""
    try:
        from litdata.streaming.writer import BinaryWriter
    except ImportError as error:
        raise NotInstalledError(str(error)) from None
    writer = BinaryWriter(str(out), chunk_bytes=64 << 20)
    for index, name in enumerate(names):
        writer[index] = {"name": name, "bytes": (root / PICTURES / name).read_bytes()}
    writer.done()
    writer.merge()


def read_lit_data(out: Path) -> Iterator[Pair]:
    """The rows of the chunks."""
    from litdata.streaming.cache import Cache

    cache = Cache(str(out), chunk_bytes=64 << 20)
    for index in range(len(cache)):
        yield cache[index]["name"], cache[index]["bytes"]


def lance_dataset(root: Path, names: list[str], out: Path) -> None:
    """Lance: a table written batch by batch."""
    import pyarrow as pa

    try:
        import lance
    except ImportError as error:
        raise NotInstalledError(str(error)) from None
    schema = pa.schema({"name": pa.string(), "bytes": pa.large_binary()})

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(names), 1000):
            part = names[start : start + 1000]
            data = [(root / PICTURES / name).read_bytes() for name in part]
            yield pa.RecordBatch.from_arrays([pa.array(part), pa.array(data, pa.large_binary())], schema=schema)

    lance.write_dataset(batches(), str(out / "packed.lance"), schema=schema)


def read_lance(out: Path) -> Iterator[Pair]:
    """The rows of the table."""
    import lance

    for row in lance.dataset(str(out / "packed.lance")).to_table().to_pylist():
        yield row["name"], row["bytes"]


def ours(root: Path, names: list[str], out: Path, *, workers: int = 1, checked: bool = True) -> None:
    """What a build does once the labels are read."""
    from affect_data.build.shards import pack_shard, shared_out
    from affect_data.processes import map_jobs

    jobs = jobs_of(root, names, out)
    processes, threads = shared_out(workers, len(jobs))
    pack = partial(pack_shard, threads=threads) if checked else partial(pack_shard, threads=threads, check=not_checked)
    for _ in map_jobs(pack, jobs, processes):
        pass


def not_checked(data: memoryview) -> Any:  # noqa: ANN401, ARG001 - as `examine`
    """Takes every picture for good."""
    from affect_data.pictures import Examined

    return Examined("", SIZE, SIZE)


_read_jobs: dict[tuple[int, str], list[Any]] = {}


def jobs_of(root: Path, names: list[str], out: Path) -> list[Any]:
    """The shards of a build of the first pictures; the labels are read only once."""
    import polars as pl

    from affect_data.build.databases import layout_of, read_databases, shard_jobs
    from affect_data.build.recipe import recipe_from

    if (len(names), str(out)) not in _read_jobs:
        recipe = recipe_from({"databases": {"expw": {"incomplete": "accepted"}}}, "benchmark")
        read = read_databases(recipe, {"expw": root}, lambda *_: None)
        database = read["expw"]
        images = [f"{PICTURES}/{name}" for name in names]
        labels = database.unified.labels.filter(pl.col("image").is_in(images))
        read["expw"] = replace(database, unified=replace(database.unified, labels=labels))
        _read_jobs[len(names), str(out)] = shard_jobs(recipe, read, layout_of(read), out / "staging")
    return _read_jobs[len(names), str(out)]


def read_ours(out: Path) -> Iterator[Pair]:
    """The rows of the shards of pictures."""
    import pyarrow as pa

    for path in sorted(out.glob("staging/train/images/*.arrow")):
        with pa.memory_map(str(path)) as source:
            for row in pa.ipc.open_stream(source).read_all().column("image").to_pylist():
                yield Path(row["path"]).name, row["bytes"]


OURS: Final = "ours"
VARIANTS: Final = {
    "limit: read and write in Python": Packing(plain_copy, read_plain_copy),
    "tar": Packing(tar, read_tar),
    "datasets: map of bytes": Packing(hf_map, read_arrow),
    "datasets: from_generator": Packing(from_generator, read_arrow),
    "datasets: from_generator of bytes": Packing(bytes_from_generator, read_arrow),
    "datasets: reader of folders": Packing(folder_reader, read_arrow),
    "webdataset": Packing(web_dataset, read_tar),
    "litdata": Packing(lit_data, read_lit_data),
    "Lance": Packing(lance_dataset, read_lance),
    "ours, no check": Packing(partial(ours, checked=False), read_ours),
    "ours, no check, 2 workers": Packing(partial(ours, checked=False, workers=2), read_ours),
    OURS: Packing(ours, read_ours),
    "ours, 2 workers": Packing(partial(ours, workers=2), read_ours),
}
GOALS: Final = {
    (OURS, "datasets: from_generator", "cpu"): 1.2,
    ("ours, 2 workers", "datasets: from_generator", "wall"): 1.0,
    ("ours, no check", "tar", "cpu"): 1.0,
    ("ours, no check", "datasets: map of bytes", "cpu"): 1.0,
    ("ours, 2 workers", OURS, "wall"): 1 / 1.7,
}
"""The most that the first may take, as a multiple of the second."""


# ---------------------------------------------------------------- measuring


def measured(variant: str, root: Path, count: int, out: Path, *, compare: bool) -> dict[str, Any]:
    """What one run of a variant took, and what it stored."""
    packing, names = VARIANTS[variant], sorted(path.name for path in (root / PICTURES).iterdir())[:count]
    for number, part in enumerate((names[:WARMED], names)):
        folder = out / str(number)
        folder.mkdir()
        if variant.startswith(OURS):
            jobs_of(root, part, folder)
        wall, cpu = time.perf_counter(), processor_seconds()
        packing.pack(root, part, folder)
        wall, cpu = time.perf_counter() - wall, processor_seconds() - cpu
    stored = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and is_of_pictures(path))
    digest = hashlib.sha256()
    for name, data in sorted(packing.read(folder)) if compare else ():
        digest.update(name.encode() + hashlib.sha256(data).digest())
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"wall": wall, "cpu": cpu, "peak": max(peaks), "stored": stored, "digest": digest.hexdigest()}


def is_of_pictures(path: Path) -> bool:
    """Whether a file counts as stored pictures: not the labels that ours writes beside them."""
    return "labels" not in path.parts and ".seen" not in path.parts


def built_again(root: Path, out: Path) -> None:
    """Prints what whole builds of one database take, one over the other."""
    from affect_data.build import sources
    from affect_data.build.build import build
    from affect_data.build.recipe import recipe_from

    def relabel() -> None:
        lines = (root / "label/label.lst").read_text().splitlines(keepends=True)
        lines[0] = f"{lines[0].rpartition(' ')[0]} 6\n"
        (root / "label/label.lst").write_text("".join(lines))

    def recolour() -> None:
        picture = root / PICTURES / "p000001.jpg"
        picture.write_bytes(picture.read_bytes()[:-2] + b"\xff\xd9\xff\xd9")

    opened: list[str] = []
    sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
    # Files that were drawn seconds ago would be read twice.
    time.sleep(sources.SETTLED_AFTER / 1e9)
    print(f"{'a build':28}{'CPU s':>8}{'wall s':>8}{'pictures read':>15}{'MB written':>12}")
    recipe = recipe_from({"databases": {"expw": {"incomplete": "accepted"}}}, "benchmark")
    cases: list[tuple[str, Callable[[], None]]] = [
        ("the first", lambda: None),
        ("nothing changed", lambda: None),
        ("another line", relabel),
        ("another picture", recolour),
    ]
    for name, change in cases:
        change()
        before = {path.stat().st_ino for path in out.rglob("*")}
        opened.clear()
        wall, cpu = time.perf_counter(), processor_seconds()
        build(recipe, {"expw": root}, out / "merged", overwrite=True)
        wall, cpu = time.perf_counter() - wall, processor_seconds() - cpu
        read = sum(path.endswith(".jpg") for path in opened)
        written = sum(status.st_size for path in out.rglob("*") if (status := path.stat()).st_ino not in before)
        print(f"{name:28}{cpu:8.2f}{wall:8.2f}{read:15,}{written / 1e6:12.1f}", flush=True)


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def run(variant: str, root: Path, count: int, scratch: Path, *, compare: bool) -> dict[str, Any] | None:
    """One run in a fresh process; None, with a printed reason, if a package is missing."""
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        command = [
            sys.executable,
            __file__,
            "--variant",
            variant,
            "--root",
            str(root),
            "--out",
            out,
            "--files",
            str(count),
        ]
        environment = {
            **os.environ, **ONE_THREAD, "PYTHONPATH": str(REPOSITORY), "HF_HOME": str(Path(out) / "cache"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        }  # fmt: skip
        done = subprocess.run(
            [*command, *(["--compare"] if compare else [])],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{variant} failed:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if "skipped" in answer:
        print(f"skipped: {variant}: {answer['skipped']}", flush=True)
        return None
    return answer


def table(found: dict[str, list[dict[str, Any]]], files: int, size: int) -> None:
    """Prints all variants, and which goals are met."""
    print(f"{files:,} JPEGs, {size / files:,.0f} bytes each; {machine()}")
    print(f"{'':34}{'CPU s':>8}{'ratio':>7}{'wall s':>8}{'min..max':>14}{'ratio':>7}{'peak MB':>9}{'more bytes':>12}")
    base = found[OURS]
    for name, rounds in found.items():
        cpu, wall = ([one[what] for one in rounds] for what in ("cpu", "wall"))
        ratios = [
            statistics.median(mine[what] / one[what] for mine, one in zip(base, rounds, strict=True)) for what in ("cpu", "wall")
        ]  # fmt: skip
        spread = f"{min(wall):.2f}..{max(wall):.2f}"
        print(
            f"{name:34}{statistics.median(cpu):8.2f}{ratios[0]:7.2f}{statistics.median(wall):8.2f}{spread:>14}{ratios[1]:7.2f}"
            f"{max(one['peak'] for one in rounds):9.0f}{rounds[0]['stored'] / size - 1:12.1%}"
        )
    print("ratio: ours divided by the variant, median over rounds")
    for (mine, peer, what), limit in GOALS.items():
        if mine in found and peer in found:
            ratio = statistics.median(
                one[what] / other[what] for one, other in zip(found[mine], found[peer], strict=True)
            )
            print(
                f"goal: {mine} at most {limit:.2f} of {peer}, {what}: {ratio:.2f} {'met' if ratio <= limit else 'NOT met'}"
            )


def main() -> None:
    """Runs one variant, or compares and measures all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("packing", "again"), default="packing")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--compare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.variant:
        try:
            answer = measured(given.variant, given.root, given.files, given.out, compare=given.compare)
        except NotInstalledError as error:
            answer = {"skipped": str(error)}
        print("\n" + json.dumps(answer), flush=True)
        return
    files, rounds = (120, 1) if given.smoke else (given.files, given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        root, scratch = Path(folder) / "expw", Path(folder) / "scratch"
        scratch.mkdir()
        draw(root, files)
        if given.part == "again":
            print(f"{files:,} JPEGs of ExpW; {machine()}")
            built_again(root, scratch)
            return
        compared = {name: run(name, root, min(files, COMPARED), scratch, compare=True) for name in VARIANTS}
        names = [name for name, answer in compared.items() if answer is not None]
        digests = {answer["digest"] for answer in compared.values() if answer is not None}
        if len(digests) != 1:
            raise SystemExit(f"the variants did not store the same: { ({name: compared[name] for name in names}) }")
        print(f"all {len(names)} variants store the same names and bytes", flush=True)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in range(rounds):
            # Forwards, then backwards, so that no variant always follows the same one.
            for name in names if number % 2 == 0 else reversed(names):
                answer = run(name, root, files, scratch, compare=False)
                assert answer is not None
                found[name].append(answer)
        table(found, files, sum(path.stat().st_size for path in (root / PICTURES).iterdir()))


if __name__ == "__main__":
    main()
