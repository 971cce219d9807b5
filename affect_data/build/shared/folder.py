"""The folder that the parts of a build share: beside the dataset, hidden, removed when the dataset is finished.

    .merged.parts/
      plan.json            what the build is made of; every part must agree
      claims/              who works on what, see `claims`
      labels/<database>/   the labels of a database, read once
      shards/train-00000/  a packed shard with its record
      work/<token>/        what a process has not finished

Whatever lies in the folder was written in `work` and moved to its place whole, by a rename that only the first of several processes can do.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final
from uuid import uuid4

from affect_data.bounds import BoundError, read_json
from affect_data.build.content import wording
from affect_data.build.jobs import EarlierShard, ShardJob, ShardRecord
from affect_data.build.recipe import DataRecipe
from affect_data.dataset.schema import SCHEMA_VERSION
from affect_data.errors import DataError, UsageError
from affect_data.files import move_aside, place_first, with_a_name, write_text
from affect_data.system_errors import writing_to

FOLDER: Final = ".{}.parts"
PLAN: Final = "plan.json"

PACKAGES: Final = ("affectkit", "polars", "pyarrow", "numpy", "pillow", "simplejpeg", "av")
"""Packages whose version may decide a byte of the dataset."""

CLOCKS_DIFFER: Final = 60.0
"""Seconds by which the clocks of a node and of the file system may differ."""


class PartsError(DataError):
    """Parts of a build that do not belong together, or are not all there."""


@dataclass(frozen=True)
class PartNumber:
    """Which part of a build.

    Attributes:
        number: from 1.
        of: how many parts there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "PartNumber":
        """The part of an argument ``i/n``.

        Raises:
            UsageError: it has another form.
        """
        first, slash, last = text.partition("/")
        if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
            raise UsageError(f"--part takes i/n with i from 1 to n, for example --part 3/8; found '{text}'")
        return cls(int(first), int(last))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class Plan:
    """What all parts of a build must have in common.

    Attributes:
        parts: how many there are.
        recipe: what decides the bytes.
        versions: of the schema, of Python, and of `PACKAGES`.
    """

    parts: int
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]

    @classmethod
    def of(cls, recipe: DataRecipe, parts: int) -> "Plan":
        """The plan of a recipe on this node."""
        packages = {name: _installed(name) for name in PACKAGES}
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return cls(parts, recipe.content(), {"schema": str(SCHEMA_VERSION), "python": python, **packages})

    def part_of(self, index: int) -> int:
        """The number of the part that packs a shard.

        Args:
            index: of the shard among those of all splits.
        """
        return index % self.parts + 1


class PartsFolder:
    """The folder that the parts of a build share.

    Args:
        out: the dataset that is built.
    """

    def __init__(self, out: Path) -> None:
        out = with_a_name(out)
        self.out = out
        self.path = out.parent / FOLDER.format(out.name)

    def begin(self, plan: Plan) -> None:
        """Begins the build, or joins it.

        Raises:
            PartsError: the parts that are there are of another build.
            FileAccessError: the folder cannot be written to.
        """
        if self.plan() is None:
            begun = self._aside()
            with writing_to(begun):
                begun.mkdir(parents=True)
                write_text(begun / PLAN, json.dumps(asdict(plan), sort_keys=True) + "\n")
                if not place_first(begun, self.path):
                    shutil.rmtree(begun)
        self.refuse_others(plan)
        self.refuse_clock()

    def plan(self) -> Plan | None:
        """What was begun; None if nothing was.

        Raises:
            PartsError: it cannot be read.
        """
        try:
            return Plan(**read_json(self.path / PLAN))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, BoundError):
            raise PartsError(
                f"'{self.path / PLAN}' cannot be read; remove the folder '{self.path}', and run all parts again"
            ) from None

    def refuse_others(self, plan: Plan) -> None:
        """Refuses to add to parts that were begun otherwise.

        Raises:
            PartsError: they are.
        """
        found = self.plan()
        if found is None:
            raise PartsError(f"'{self.path}' was removed meanwhile; run all parts again")
        again = f"or remove the folder '{self.path}' and run all parts again"
        recipes = {"recipe": dict(found.recipe)}, {"recipe": dict(plan.recipe)}
        if found.recipe != plan.recipe:
            names = found.recipe["databases"].keys() ^ plan.recipe["databases"].keys()
            differ = [*(f"{name} is in one of them only" for name in sorted(names)), *wording(*recipes)]
            raise PartsError(
                f"the parts of '{self.out}' that are there are of another recipe ({'; '.join(differ)}). Name the recipe that they were "
                f"begun with, {again}"
            )
        if found.parts != plan.parts:
            raise PartsError(
                f"the parts of '{self.out}' that are there are {found.parts} in number, and this is one of {plan.parts}. Divide the build "
                f"by {found.parts}, {again}"
            )
        other = [
            f"{name} {plan.versions.get(name)}, there {found.versions.get(name)}"
            for name in sorted(found.versions.keys() | plan.versions.keys())
            if plan.versions.get(name) != found.versions.get(name)
        ]
        if other:
            raise PartsError(
                f"this node has other versions than the one that began '{self.out}': {'; '.join(other)}. Install the same on every node, {again}"
            )

    def refuse_clock(self) -> None:
        """Refuses to work on a node whose clock is wrong: files whose times it judges would be taken for older or newer than they are.

        Raises:
            PartsError: it is.
        """
        with writing_to(self.path), TemporaryFile(dir=self.path) as probe:
            off = time.time() - os.fstat(probe.fileno()).st_mtime
        if abs(off) > CLOCKS_DIFFER:
            raise PartsError(
                f"the clock of this node is {abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} that of the file system of '{self.out}'. "
                "Synchronise both (`chronyc tracking` or `timedatectl` shows how they stand), or leave this node out"
            )

    def claim(self, name: str) -> Path:
        """Where a piece of work is claimed."""
        return self.path / "claims" / name

    def claim_of(self, part: int) -> Path:
        """Where a part is claimed."""
        return self.claim(f"part-{part}")

    def labels(self, database: str) -> Path:
        """Where the labels of a database are."""
        return self.path / "labels" / database

    def work(self, token: str) -> Path:
        """Where a process writes what it has not finished; it must be on the disk of everything else."""
        return self.path / "work" / token

    def packed(self, job: ShardJob) -> Path:
        """Where a packed shard is: the staging folder of its files."""
        return self.path / "shards" / f"{job.split}-{job.index:05d}"

    def shard(self, job: ShardJob) -> EarlierShard | None:
        """A shard that is packed, of the same rows; None if it is not, or if something changed its files."""
        there = replace(job, staging=self.packed(job))
        record = ShardRecord.read(there.record_path())
        if record is None or record.key != job.key():
            return None
        found = EarlierShard(
            record, {group: there.path(group) for group in job.groups}, there.seen_path(), same_labels=True
        )
        return found if found.is_whole(job.groups) else None

    def discard(self, job: ShardJob) -> None:
        """Removes a shard that is not the one to be packed."""
        aside = job.staging / f"{self.packed(job).name}-outdated"
        if move_aside(self.packed(job), aside):
            shutil.rmtree(aside)

    def remove(self) -> None:
        """Removes everything, also what kills left of earlier removals."""
        move_aside(self.path, self._aside())
        for leftover in self.path.parent.iterdir():
            if leftover.name.startswith(f"{self.path.name}."):
                shutil.rmtree(leftover, ignore_errors=True)

    def _aside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{uuid4().hex}")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
