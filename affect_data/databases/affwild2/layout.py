"""Where the annotations of Aff-Wild2 are, and which release they are."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from affect_data.databases.base import TASKS, Task
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import Defect, UnknownNameError, UsageError

ACTION_UNITS_8: Final = (1, 2, 4, 6, 12, 15, 20, 25)
ACTION_UNITS_12: Final = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
EXPRESSIONS: Final = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other")


@dataclass(frozen=True)
class Release:
    """The labels of one edition of the ABAW competition.

    Attributes:
        action_units: FACS numbers in the order of the columns.
        expressions: class names in the order of the codes.
        multi_task: whether one file holds all tasks (s-Aff-Wild2); otherwise there is one for each track and task.
    """

    action_units: tuple[int, ...] = ACTION_UNITS_12
    expressions: tuple[str, ...] = EXPRESSIONS
    multi_task: bool = False

    def header(self, task: Task) -> tuple[str, ...]:
        """The names in the first line of a file of one task, in lower case."""
        names: dict[Task, tuple[str, ...]] = {
            "au": tuple(f"au{number}" for number in self.action_units),
            "expression": self.expressions,
            "va": ("valence", "arousal"),
        }
        return names[task]


RELEASES: Final[Mapping[str, Release]] = MappingProxyType(
    {
        "abaw1": Release(ACTION_UNITS_8, EXPRESSIONS[:7]),
        "abaw2": Release(ACTION_UNITS_12, EXPRESSIONS[:7]),
        "abaw3": Release(),
        "abaw5": Release(),
        "abaw6": Release(),
        "abaw8": Release(),
        "abaw9": Release(),
        "abaw10": Release(),
        "abaw3_mtl": Release(multi_task=True),
        "abaw4_mtl": Release(multi_task=True),
        "abaw7_mtl": Release(multi_task=True),
        "abaw11_mtl": Release(multi_task=True),
    }
)

JOIN_ORDER: Final[tuple[Task, ...]] = ("va", "expression", "au")
"""The source of a row is the line of the first of these tasks that lists its frame."""

MULTI_TASK_HEADER: Final = ("image", "valence", "arousal", "expression", "aus")

TASK_FOLDERS: Final[Mapping[Task, tuple[str, ...]]] = MappingProxyType(
    {
        "au": ("AU_Detection_Challenge", "Action_Unit_Detection_Challenge", "AU_Set", "AU"),
        "expression": (
            "EXPR_Classification_Challenge",
            "EXPR_Recognition_Challenge",
            "Expression_Classification_Challenge",
            "Expression_Recognition_Challenge",
            "EXPR_Set",
            "Expression_Set",
            "EXPR",
            "Expression",
        ),
        "va": ("VA_Estimation_Challenge", "Valence_Arousal_Estimation_Challenge", "VA_Set", "VA"),
    }
)
SPLIT_FOLDERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "train": ("Train_Set", "Training_Set", "train", "training"),
        "validation": ("Validation_Set", "validate", "validation", "val"),
    }
)
MULTI_TASK_FOLDERS: Final = ("MTL_Challenge", "Multi_Task_Learning_Challenge", "MTL")
MULTI_TASK_FILES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("train_set.txt", "validation_set.txt", ("abaw3_mtl",)),
    ("training_set_annotations.txt", "validation_set_annotations.txt", ("abaw4_mtl", "abaw7_mtl", "abaw11_mtl")),
)
CROP_FOLDERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cropped_aligned": ("cropped_aligned", "cropped_aligned_images", "cropped_aligned_new_50_vids"),
        "cropped": ("cropped", "cropped_images", "cropped_new_50_vids"),
    }
)
"""The folders of each kind of crops: since ABAW5 the crops of 50 more videos are an archive of their own, unpacked beside the first or in it."""

_EDITIONS: Final = (
    "first|1st",
    "second|2nd",
    "third|3rd",
    "fourth|4th",
    "fifth|5th",
    "sixth|6th",
    "seventh|7th",
    "eighth|8th",
    "ninth|9th",
    "tenth|10th",
    "eleventh|11th",
)
_RESTORE: Final = "restore the official file"


@dataclass(frozen=True)
class Annotations:
    """One set of annotation files.

    Attributes:
        folder: the folder that holds the set, relative to the root.
        possible: the releases that the files can be, likeliest first.
        tasks: the files of each task and split; empty for the multi-task form.
        multi_task: the multi-task file of each split; empty for the per-task form.
        headers: the first line of each file, as lower-case names.
        defects: contradictions to the documented layout.
    """

    folder: str
    possible: tuple[str, ...]
    tasks: Mapping[Task, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    multi_task: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()

    def __str__(self) -> str:
        return f"{' or '.join(self.possible)} in '{self.folder or '.'}'"


def find_annotations(root: DatabaseRoot) -> list[Annotations]:
    """Every set of annotations under a root, which records nothing yet."""
    return [found for folder in _annotation_folders(root) for found in _annotations_in(root, folder)]


def choose_annotations(
    root: DatabaseRoot, found: Sequence[Annotations], release: str | None
) -> tuple[Annotations, str]:
    """The set of annotations to read, and its release.

    Args:
        root: names the folder in errors.
        found: at least one set.
        release: the release that the recipe names.

    Raises:
        UnknownNameError: no release has this name.
        UsageError: the release is missing; or there are several, and the recipe names none.
    """
    if release is not None and release not in RELEASES:
        raise UnknownNameError("release of affwild2", release, RELEASES)
    fitting = [each for each in found if release is None or release in each.possible]
    if len(fitting) > 1 and release is not None:
        fitting = [each for each in fitting if each.possible[0] == release] or fitting
    if len(fitting) == 1:
        return fitting[0], release or fitting[0].possible[0]
    listed = "; ".join(str(each) for each in (fitting or found))
    if not fitting:
        raise UsageError(
            f"affwild2: release '{release}' was asked for, but the root '{root.path}' holds {listed}: "
            "correct `databases: affwild2: release` in the recipe, or the root"
        )
    raise UsageError(
        f"affwild2: the root '{root.path}' holds several releases: {listed}: "
        "name one under `databases: affwild2: release` in the recipe; where that cannot tell them apart, keep one of the folders"
    )


def _annotation_folders(root: DatabaseRoot) -> Iterator[str]:
    """The root itself, and folders with "annotation" in their name up to two levels below it."""
    yield ""
    for name in _folders_of_annotations(root, ""):
        yield name
        yield from _folders_of_annotations(root, name)


def _folders_of_annotations(root: DatabaseRoot, parent: str) -> list[str]:
    names = sorted(name for name in root.entries(parent) if "annotation" in name.lower() and not name.startswith("."))
    return [path for name in names if (root.path / (path := str(PurePosixPath(parent) / name))).is_dir()]


def _annotations_in(root: DatabaseRoot, folder: str) -> Iterator[Annotations]:
    per_task = _per_task_annotations(root, folder)
    if per_task is not None:
        yield per_task
    # The multi-task files are beside the per-task folders, or in a folder of their own.
    for place in [folder, *_folders(root, MULTI_TASK_FOLDERS, folder)]:
        for train, validation, releases in MULTI_TASK_FILES:
            found = {"train": root.one_of(train, under=place), "validation": root.one_of(validation, under=place)}
            if any(found.values()):
                yield _multi_task_annotations(root, place, found, {"train": train, "validation": validation}, releases)


# ------------------------------------------------------------------ one file a track and task


def _per_task_annotations(root: DatabaseRoot, folder: str) -> Annotations | None:
    defects: list[Defect] = []
    folders: dict[Task, str] = {}
    tasks: dict[Task, dict[str, tuple[str, ...]]] = {}
    for task in TASKS:
        named = _one_folder(root, TASK_FOLDERS[task], folder, defects)
        if named is None:
            continue
        folders[task] = named
        # The release of 2019 has separate folders for videos and annotations below the folder of the task.
        inner = root.one_of("annotations", under=named) or named
        tasks[task] = {split: _track_files(root, split, inner, defects) for split in SPLIT_FOLDERS}
    if not any(paths for splits in tasks.values() for paths in splits.values()):
        return None
    headers = {path: header_of(root, path) for splits in tasks.values() for paths in splits.values() for path in paths}
    possible = _narrowed(
        (name for name, release in RELEASES.items() if not release.multi_task),
        [_releases_of_edition(folder), *_releases_of_headers(tasks, headers), *_releases_of_names(folders, tasks)],
    )
    return Annotations(folder, possible, tasks, {}, headers, tuple(defects))


def _track_files(root: DatabaseRoot, split: str, folder: str, defects: list[Defect]) -> tuple[str, ...]:
    named = _one_folder(root, SPLIT_FOLDERS[split], folder, defects)
    names = [] if named is None else sorted(name for name in root.entries(named) if _is_track_file(name))
    if not names:
        aliases = ", ".join(SPLIT_FOLDERS[split])
        where, found = (folder, f"no {split} folder") if named is None else (named, "no .txt file")
        defects.append(
            Defect(
                where, 0, found, f"one .txt file a track, in one of {aliases}", "unpack the official annotations again"
            )
        )
    return tuple(f"{named}/{name}" for name in names)


def _is_track_file(name: str) -> bool:
    return name.endswith(".txt") and not name.startswith(".")


def _releases_of_edition(folder: str) -> set[str]:
    for edition, words in enumerate(_EDITIONS, start=1):
        if re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9])", folder.lower().replace("_", " ")):
            return {f"abaw{edition}", f"abaw{edition}_mtl"}
    return set(RELEASES)


def _releases_of_headers(
    tasks: Mapping[Task, Mapping[str, tuple[str, ...]]], headers: Mapping[str, tuple[str, ...]]
) -> Iterator[set[str]]:
    for task, splits in tasks.items():
        fitting = Counter(
            header
            for paths in splits.values()
            for header in (headers[path] for path in paths)
            if any(release.header(task) == header for release in RELEASES.values())
        )
        if fitting:
            (commonest, _), *_ = fitting.most_common(1)
            yield {name for name, release in RELEASES.items() if release.header(task) == commonest}


def _releases_of_names(
    folders: Mapping[Task, str], tasks: Mapping[Task, Mapping[str, tuple[str, ...]]]
) -> Iterator[set[str]]:
    names = " ".join(PurePosixPath(folder).name.lower() for folder in folders.values())
    if "recognition_challenge" in names:
        yield {"abaw6", "abaw8", "abaw9", "abaw10"}
    if "classification_challenge" in names:
        yield {"abaw3", "abaw5"}
    if "_challenge" in names:
        yield {"abaw3", "abaw5", "abaw6", "abaw8", "abaw9", "abaw10"}
    if "_set" in names:
        yield {"abaw1", "abaw2"}
    used = {
        PurePosixPath(path).parent.name.lower()
        for splits in tasks.values()
        for paths in splits.values()
        for path in paths
    }
    yield {"abaw1"} if "training_set" in used else set(RELEASES) - {"abaw1"}


def _narrowed(names: Iterable[str], evidence: Iterable[set[str]]) -> tuple[str, ...]:
    """The names that all evidence allows; evidence that would leave no name is ignored."""
    possible = tuple(names)
    for allowed in evidence:
        possible = tuple(name for name in possible if name in allowed) or possible
    return possible


# ------------------------------------------------------------------ one file for all tasks


def _multi_task_annotations(
    root: DatabaseRoot,
    folder: str,
    found: Mapping[str, str | None],
    official: Mapping[str, str],
    releases: tuple[str, ...],
) -> Annotations:
    defects = tuple(
        Defect(
            str(PurePosixPath(folder) / official[split]),
            0,
            "no such file",
            f"the {split} rows of the multi-task challenge",
            _RESTORE,
        )
        for split, path in found.items()
        if path is None
    )
    files = {split: path for split, path in found.items() if path is not None}
    headers = {path: header_of(root, path) for path in files.values()}
    return Annotations(folder, _narrowed(releases, [_releases_of_edition(folder)]), {}, files, headers, defects)


# ------------------------------------------------------------------ files and folders


def header_of(root: DatabaseRoot, path: str) -> tuple[str, ...]:
    """The names in the first line of a file, in lower case, without surrounding spaces."""
    root.confined.check(path)
    with (root.path / path).open("rb") as file:
        line = file.readline(4096).decode("utf-8-sig", errors="replace")
    return tuple(name.strip().lower() for name in line.strip().split(","))


def files_with_header(
    root: DatabaseRoot, annotations: Annotations, paths: Sequence[str], expected: tuple[str, ...]
) -> list[str]:
    """The files that have the expected header; every other file is a defect."""
    for path in paths:
        if annotations.headers[path] != expected:
            found = ",".join(annotations.headers[path])
            root.defect(
                path,
                1,
                f"the header {found[:80]!r}",
                f"the header {','.join(expected)!r}",
                f"{_RESTORE}, or name its `release` in the recipe",
            )
    return [path for path in paths if annotations.headers[path] == expected]


def _folders(root: DatabaseRoot, aliases: Iterable[str], under: str) -> list[str]:
    found = dict.fromkeys(root.one_of(alias, under=under) for alias in aliases)
    return [path for path in found if path is not None and (root.path / path).is_dir()]


def _one_folder(root: DatabaseRoot, aliases: Iterable[str], under: str, defects: list[Defect]) -> str | None:
    found = _folders(root, aliases, under)
    if len(found) > 1:
        names = ", ".join(PurePosixPath(path).name for path in found)
        defects.append(
            Defect(
                under or ".",
                0,
                f"the folders {names}",
                "one of them",
                "move each release into a folder of its own, such as '6th_ABAW_Annotations'",
            )
        )
    return found[0] if found else None
