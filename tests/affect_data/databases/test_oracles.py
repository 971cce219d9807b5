"""Every reader against a second one, slow and plain, in tests/oracles: the same cells on demo files and on mutants of them."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from second_readers import NAMES, oracle_rows, same_cells
from written_databases import Written

from affect_data.databases.registry import BUILT_IN
from affect_data.databases.root import DatabaseRoot


def test_every_reader_has_an_oracle() -> None:
    assert sorted(BUILT_IN) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_second_reader_gives_the_same_cells(name: str, written_of: Callable[[str], Written]) -> None:
    written = written_of(name)
    rows = oracle_rows(name, written.root)
    assert len(rows) == len(written.scan.rows) > 0
    same_cells(written.scan, rows)


# ---------------------------------------------------------------- mutants


def with_windows_line_ends_and_a_mark(text: str) -> str:
    return "\ufeff" + text.replace("\r\n", "\n").replace("\n", "\r\n")


def with_two_lines_swapped(text: str) -> str:
    lines = text.split("\n")
    if len(lines) > 4:
        lines[1], lines[3] = lines[3], lines[1]
    return "\n".join(lines)


def without_a_line(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(lines[:2] + lines[3:]) if len(lines) > 4 else text


def with_a_digit_changed(text: str) -> str:
    """One digit of one line is another one."""
    rng = random.Random(len(text))
    lines = text.split("\n")
    places = [(n, k) for n, line in enumerate(lines[1:5], start=1) for k, sign in enumerate(line) if sign.isdigit()]
    if places:
        number, place = rng.choice(places)
        lines[number] = lines[number][:place] + rng.choice("0123456") + lines[number][place + 1 :]
    return "\n".join(lines)


MUTATIONS = (
    with_windows_line_ends_and_a_mark,
    with_two_lines_swapped,
    without_a_line,
    with_a_digit_changed,
)
CHANGED_FILES = 3
"""How many files of labels a mutant changes, evenly spread."""


def texts_of(written: Written) -> list[str]:
    return [path for path in written.scan.annotation_files if not path.endswith((".npy", ".xlsx"))]


def mutant(written: Written, folder: Path, mutate: Callable[[str], str]) -> None:
    """A copy of the demo files in which some text files of labels are changed."""
    shutil.copytree(written.root, folder, copy_function=os.link)
    texts = texts_of(written)
    for path in texts[:: max(1, len(texts) // CHANGED_FILES)]:
        data = (folder / path).read_bytes()
        (folder / path).unlink()
        (folder / path).write_bytes(mutate(data.decode()).encode())


@pytest.mark.parametrize("name", NAMES)
def test_they_agree_on_mutants_that_the_reader_accepts(
    name: str, written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    written = written_of(name)
    if not texts_of(written):
        pytest.skip("its labels are in no text: in a workbook, or in the names of folders")
    accepted = []
    for mutate in MUTATIONS:
        folder = tmp_path / mutate.__name__
        mutant(written, folder, mutate)
        scan = type(written.database)().read(DatabaseRoot(folder))
        if not scan.defects:
            same_cells(scan, oracle_rows(name, folder))
            accepted.append(mutate)
    assert with_windows_line_ends_and_a_mark in accepted
