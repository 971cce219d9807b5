"""How a rebuilt dataset differs from the published one: databases, options, annotation files, rows, shards, bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from affect_data.build.content import differences as lock_differences
from affect_data.errors import DataError

SHOWN: Final = 40


@dataclass(frozen=True)
class Difference:
    """One difference between two datasets.

    Attributes:
        kind: ``database``, ``option``, ``file``, ``rows``, ``shard`` or ``bytes``.
        where: the database, file, split or shard.
        what: how it differs.
    """

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.where}: {self.what}"


class DifferencesError(DataError):
    """A rebuilt dataset differs from the published one."""

    def __init__(self, name: str, found: Sequence[Difference], kept_at: str) -> None:
        self.differences = tuple(found)
        shown = "".join(f"\n  {difference}" for difference in found[:SHOWN])
        more = f"\n  ... and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        super().__init__(
            f"what was built is not {name}: {len(found):,} difference(s):{shown}{more}\n"
            "Name folders of the same releases, whole; or pass --allow-differences to take what was built. "
            f"It stays in '{kept_at}' until then, so that it is not built again."
        )


def find_differences(published: Mapping[str, Any], built: Mapping[str, Any]) -> list[Difference]:
    """The differences of a rebuilt dataset, the most important first.

    Args:
        published: the published lock, from `affect_data.hub.published_lock`.
        built: the same of the rebuilt dataset.
    """
    found = [
        *_databases(published, built),
        *_options(published, built),
        *_rows(published, built),
        *_shards(published, built),
    ]
    return found or list(_bytes(published, built))


def _databases(published: Mapping[str, Any], built: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = published["databases"], built["databases"]
    for name in sorted(before.keys() - after.keys()):
        yield Difference("database", name, "is not there")
    for name in sorted(after.keys() - before.keys()):
        yield Difference("database", name, "was not part of it")
    for name in sorted(before.keys() & after.keys()):
        for key in ("release", "reader_version", "drawn"):
            if before[name].get(key) != after[name].get(key):
                yield Difference(
                    "database", name, f"{key.replace('_', ' ')} {before[name].get(key)}, here {after[name].get(key)}"
                )
        yield from _files(name, before[name]["annotation_files"], after[name]["annotation_files"])


def _files(database: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield Difference("file", f"{database}/{path}", "is not there")
        elif path not in before:
            yield Difference("file", f"{database}/{path}", "was not part of it")
        elif before[path] != after[path]:
            yield Difference("file", f"{database}/{path}", "has another content")


def _options(published: Mapping[str, Any], built: Mapping[str, Any]) -> Iterator[Difference]:
    for sentence in lock_differences({"recipe": published["recipe"]}, {"recipe": built["recipe"]}):
        yield Difference("option", *sentence.split(": ", 1))


def _rows(published: Mapping[str, Any], built: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = _counted(published), _counted(built)
    for place in sorted(before.keys() | after.keys()):
        if before.get(place, 0) != after.get(place, 0):
            yield Difference("rows", place, f"{before.get(place, 0):,}, here {after.get(place, 0):,}")
    names = sorted(published["databases"].keys() & built["databases"].keys())
    for name in names:
        old, new = published["databases"][name]["failures"], built["databases"][name]["failures"]
        for reason in sorted(old.keys() | new.keys()):
            if old.get(reason, 0) != new.get(reason, 0):
                yield Difference(
                    "rows", name, f"without a row ({reason}): {old.get(reason, 0):,}, here {new.get(reason, 0):,}"
                )


def _counted(lock: Mapping[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for shard in lock["shards"]:
        place = f"{shard['split']} of {shard['database']}"
        counts[place] = counts.get(place, 0) + shard["rows"]
    return counts


def _shards(published: Mapping[str, Any], built: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = _numbered(published), _numbered(built)
    for place, shard in before.items():
        other = after.get(place)
        where = f"{place[0]} {place[1]} {place[2]} (rows {shard['first_row']:,} to {shard['first_row'] + shard['rows'] - 1:,})"
        if other is None:
            yield Difference("shard", where, "is not there")
        elif shard["rows"] != other["rows"]:
            yield Difference("shard", where, f"has {other['rows']:,} rows here, not {shard['rows']:,}")
        else:
            own, others = shard["fingerprints"], other["fingerprints"]
            differ = [group for group in sorted(own.keys() | others.keys()) if own.get(group) != others.get(group)]
            if differ:
                yield Difference("shard", where, f"other {', '.join(differ)}")
    for place in after.keys() - before.keys():
        yield Difference("shard", " ".join(map(str, place)), "was not part of it")


def _numbered(lock: Mapping[str, Any]) -> dict[tuple[str, str, int], Mapping[str, Any]]:
    """Shards by split, database, and their number among those of the database."""
    counts: dict[tuple[str, str], int] = {}
    found = {}
    for shard in lock["shards"]:
        key = (shard["split"], shard["database"])
        counts[key] = counts.get(key, -1) + 1
        found[*key, counts[key]] = shard
    return found


def _bytes(published: Mapping[str, Any], built: Mapping[str, Any]) -> Iterator[Difference]:
    """Files with other bytes, although all values may be the same: another version of a library wrote them."""
    if published["fingerprint"] != built["fingerprint"]:
        yield Difference("bytes", "fingerprint", f"{published['fingerprint']}, here {built['fingerprint']}")
    before, after = published["files"], built["files"]
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield Difference(
                "bytes", path, "is not there" if path not in after else "holds the same values in other bytes"
            )
