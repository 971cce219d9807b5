"""Labels that are written back as the databases' own files are those of the files that they were read from, cell by cell."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import polars as pl
import pytest
from native_files import Files, as_number, cells, files_of, kept, packed, sheet
from written_databases import Written

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.dataset.loading import to_polars
from affect_data.errors import FileAccessError, UnknownNameError, UsageError
from affect_data.exporting.forms import codes_of
from affect_data.exporting.native import NATIVE_FORMS, export_native
from affect_data.exporting.pages import PAGE, native_page


@pytest.fixture(scope="module")
def merged(written_of: Callable[[str], Written], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All databases that are written, as one dataset."""
    roots = {name: written_of(name).root for name in NATIVE_FORMS}
    content = {
        "databases": {name: {"incomplete": "accepted"} for name in NATIVE_FORMS},
        "splits": {"policy": "follow_task"},
    }
    out = tmp_path_factory.mktemp("built") / "merged"
    build(recipe_from(content, "native"), roots, out)
    return out


def expw(written: Written, files: Files) -> None:
    ((path, lines),) = kept(written)
    assert cells(files.pop(path), " ") == [[*line[:6], "0", line[7]] for line in lines]


def raf_db(written: Written, files: Files) -> None:
    for path, lines in kept(written):
        assert cells(files.pop(path), " ") == lines


def raf_au(written: Written, files: Files) -> None:
    ((path, lines),) = kept(written)
    found = [line.split(" ") for line in files.pop(path).splitlines()]
    for (name, tokens, *blank), (own, listed, *trailing) in zip(found, lines, strict=True):
        known = {token.upper() for token in listed.split("+") if not token.startswith("AD")}
        twice = {token for token in known if token[0].isalpha() and token.lstrip("LRTB") in known}
        assert (name, {token.upper() for token in tokens.split("+")}) == (own, known - twice or {"NULL"})
        assert "AD" in listed or len(listed.split("+")) > len(known) or blank == trailing


def affectnet(written: Written, files: Files) -> None:
    for path, lines in kept(written):
        _, *found = cells(files.pop(path))
        wanted = [[*line[:5], "NULL", *map(as_number, line[6:])] for line in lines]
        assert [[*line[:6], *map(float, line[6:])] for line in found] == wanted


def emotionet(written: Written, files: Files) -> None:
    ((path, text),) = files.items()
    coded = DATABASES["emotionet"].action_units
    rows = set(written.scan.rows["source_line"])
    official = sheet(written.root / path.replace(".csv", ".xlsx"))
    lines = [line for number, line in enumerate(official, start=1) if number in rows]
    header, *found = cells(text)
    assert header == list(official[0])
    wanted = [
        [str(line[0]), "", *(str(line[unit + 1]) if unit in coded else "999" for unit in range(1, 61))]
        for line in lines
    ]
    assert found == wanted
    del files[path]


def ferplus(written: Written, files: Files) -> None:
    for path, lines in kept(written):
        for found, line in zip(cells(files.pop(path)), lines, strict=True):
            votes = [int(vote) for vote in line[2:]]
            none = sum(votes[8:])
            votes = [*votes[:8], none, 0]
            if sum(votes) < 10 and max(votes) == sum(votes):
                votes = [10 if vote else 0 for vote in votes]
            assert found == [*line[:2], *map(str, votes)]


def disfa(written: Written, files: Files) -> None:
    for path in sorted((written.root / "ActionUnit_Labels").rglob("*.txt")):
        assert files.pop(path.relative_to(written.root).as_posix()) == path.read_bytes().decode()


def bp4d(written: Written, files: Files) -> None:
    frames = set(written.scan.rows.select("track", "frame").iter_rows())
    paths = [path for path in written.root.rglob("*.csv") if path.name[0] in "FM"]
    for path in sorted(paths):
        lines = path.read_bytes().decode().splitlines(keepends=True)
        start = int(path.parent.name == "AU_OCC")
        track = "_".join(path.stem.split("_")[:2])
        own = [line for line in lines[start:] if (track, int(line.split(",")[0])) in frames]
        assert files.pop(path.relative_to(written.root).as_posix()) == "".join([*lines[:start], *own])


def bp4d_plus(written: Written, files: Files) -> None:
    bp4d(written, files)


def disfa_plus(written: Written, files: Files) -> None:
    images = set(written.scan.rows["image"])
    for path in sorted((written.root / "Labels").rglob("*.txt")):
        folder = path.parent.relative_to(written.root / "Labels").as_posix()
        lines = [line for line in path.read_text().splitlines() if f"Images/{folder}/{line.split()[0]}" in images]
        found = files.pop(path.relative_to(written.root).as_posix()).splitlines()
        assert found[2:] == lines


def rated(written: Written, files: Files) -> None:
    """One line for each frame up to the last labelled one; of frames without a row it says nan."""
    rows = {(row["track"], row["frame"]): row for row in written.scan.rows.iter_rows(named=True)}
    first = min(frame for _, frame in rows)
    for path, text in list(files.items()):
        track = Path(path).stem.split("_")[0]
        official = (written.root / path).read_text().splitlines()
        for number, (line, own) in enumerate(zip(text.splitlines(), official, strict=False)):
            row = rows.get((track, number + first))
            if row is not None and row["valence"] is not None:
                wanted = [as_number(cell) for cell in own.split(",")]
                assert [float(cell) for cell in line.split(",")] == wanted
            else:
                assert line.split(",")[-1] == "nan"
        del files[path]


def affwild(written: Written, files: Files) -> None:
    rated(written, files)


def veatic(written: Written, files: Files) -> None:
    rated(written, files)


def sewa(written: Written, files: Files) -> None:
    kept_lines = set(written.scan.rows.select("source_file", "source_line").iter_rows())
    for path in sorted((written.root / "labels").glob("*.csv")):
        name = path.relative_to(written.root).as_posix()
        lines = [line for n, line in enumerate(path.read_text().splitlines(), start=1) if (name, n) in kept_lines]
        header, *found = files.pop(name).splitlines()
        assert header == "name;timestamp;arousal;valence;liking"
        for line, own in zip(found, lines, strict=True):
            assert line.split(";")[:2] == own.split(";")[:2]
            wanted = [pytest.approx(float(cell), abs=2e-6) for cell in own.split(";")[2:]]
            assert [float(cell) for cell in line.split(";")[2:]] == wanted


def unbc(written: Written, files: Files) -> None:
    images = set(written.scan.rows["image"])
    for path in sorted((written.root / "Sequence_Labels").rglob("*.txt")):
        assert files.pop(path.relative_to(written.root).as_posix()) == path.read_text()
    for path in sorted((written.root / "Frame_Labels").rglob("*.txt")):
        image = f"Images/{'/'.join(path.parts[-3:-1])}/{path.name.removesuffix('_facs.txt')}.png"
        if image in images:
            assert files.pop(path.relative_to(written.root).as_posix()) == path.read_text()


def afew_va(written: Written, files: Files) -> None:
    for path in sorted(written.root.rglob("*.json")):
        labels = json.loads(path.read_text())
        for frame in labels["frames"].values():
            frame["landmarks"] = []
        assert json.loads(files.pop(path.relative_to(written.root).as_posix())) == labels


def dfew(written: Written, files: Files) -> None:
    contradicted = set(written.scan.rows.filter(written.scan.rows["expression"].is_null())["source_line"])
    for path, lines in kept(written):
        header, *found = cells(files.pop(path))
        assert header == ["video_name", "label"]
        own = [line for line in lines if line in found]
        assert found == own
        assert len(lines) - len(found) <= len(contradicted)


def affwild2(written: Written, files: Files) -> None:
    have = set(written.scan.rows.select("track", "frame").iter_rows())
    for path in sorted((written.root / "Third ABAW Annotations").rglob("*.txt")):
        header, *lines = path.read_text().splitlines()
        name = path.relative_to(written.root).as_posix()
        none = {2: "-5,-5", 1: "-1"}.get(header.count(",") + 1, ",".join(["-1"] * 12))
        if header.count(",") == 7:
            none = "-1"
        wanted = [
            line if (path.stem, frame) in have and "-5" not in line.split(",") else none
            for frame, line in enumerate(lines, start=1)
        ]
        while wanted and wanted[-1] == none:
            wanted.pop()
        first, *found = files.pop(name).splitlines()
        assert first == header
        assert [[float(cell) for cell in line.split(",")] for line in found] == [
            [as_number(cell) for cell in line.split(",")] for line in wanted
        ]


def ferv39k(written: Written, files: Files) -> None:
    for path, lines in kept(written):
        assert [",".join(line) for line in lines] == files.pop(path).splitlines()


def mafw(written: Written, files: Files) -> None:
    contradicted = written.scan.rows.filter(pl.col("expression_masked").str.contains("different classes"))
    assert len(contradicted) == 1
    own = {f"{track}.mp4" for track in contradicted["track"]}
    for path, lines in kept(written):
        assert cells(files.pop(path), " ") == [line for line in lines if line[0] not in own]


def raf_ml(written: Written, files: Files) -> None:
    ((path, lines),) = kept(written)
    for found, own in zip(cells(files.pop(path), " "), lines, strict=True):
        whole = sum(int(share.replace(".", "")) for share in own[1:7]) == 1_000_000
        wanted = own[1:7] if whole else [pytest.approx(float(share), abs=2e-6) for share in own[1:7]]
        assert [found[0], found[7]] == [own[0], own[7]] == [own[0], ""]
        assert (found[1:7] if whole else list(map(float, found[1:7]))) == wanted


def raf_ce(written: Written, files: Files) -> None:
    ((path, lines),) = kept(written)
    names = [line[0] for line in lines]
    assert cells(files.pop(path), " ") == lines
    for name in ("RAFCE_partition.txt", "RAFCE_AUlabel.txt"):
        listed = dict(line.split(" ") for line in (written.root / name).read_text().splitlines())
        found = [line.split(" ") for line in files.pop(name).splitlines()]
        assert [line[0] for line in found] == names
        if name == "RAFCE_partition.txt":
            assert [line[1] for line in found] == [listed[name] for name in names]
        else:
            for picture, tokens in found:
                known = {token.upper() for token in listed[picture].split("+") if not token.startswith("AD")}
                twice = {token for token in known if token[0].isalpha() and token.lstrip("LRTB") in known}
                assert {token.upper() for token in tokens.split("+")} == (known - twice or {"NULL"})


def ck_plus(written: Written, files: Files) -> None:
    frames = {Path(image).stem for image in written.scan.rows["image"]}
    for path in sorted(written.root.rglob("*.txt")):
        if path.stem.rpartition("_")[0] in frames:
            lines = [line for line in path.read_text().splitlines() if not line.split()[0].startswith("5.4")]
            assert files.pop(path.relative_to(written.root).as_posix()).splitlines() == lines


def omg(written: Written, files: Files) -> None:
    for path, lines in kept(written):
        header, *found = cells(files.pop(path))
        assert header == (written.root / path).read_text().splitlines()[0].split(",")
        for own, line in zip(found, lines, strict=True):
            assert [own[0], *map(float, own[1:3]), *own[3:5]] == ["", *map(as_number, line[1:3]), *line[3:5]]
            assert [*map(float, own[5:7]), own[7]] == [*map(as_number, line[5:7]), line[7]]


def casme2(written: Written, files: Files) -> None:
    """Sheet by sheet: what a string leaves open is a question mark, and an apex that nobody could tell a slash."""
    ((path, data),) = files.items()
    rows = set(written.scan.rows["source_line"])
    official = [list(line) for line in sheet(written.root / path)]
    top = next(number for number, line in enumerate(official, start=1) if "Filename" in line)
    column = official[top - 1].index("Action Units")
    apex = next(place for place, name in enumerate(official[top - 1]) if str(name).replace(" ", "") == "ApexFrame")
    offset = apex + 1
    for number, line in enumerate(official, start=1):
        line[column] = str(line[column])
        if "(" in line[column]:
            line[column] = "+".join([*[code for code in line[column].split("+") if "(" not in code], "?"])
        if number > top and line[apex] != "/" and int(str(line[apex])) > int(str(line[offset])):
            line[apex] = "/"
        if "Inducement Code" in official[top - 1] and number > top:
            line[official[top - 1].index("Inducement Code")] = None
    found = [list(line) for line in sheet(data)]
    assert found[top - 1 :] == [
        line for number, line in enumerate(official, start=1) if number == top or number in rows
    ]
    del files[path]


def samm(written: Written, files: Files) -> None:
    casme2(written, files)


def class_folders(written: Written, files: Files) -> None:
    """The folders in which the files lie, which are their labels."""
    header, *lines = cells(files.pop("class-folders.csv"))
    places = {place for place in written.scan.rows["source_file"] if (written.root / place).is_file()}
    assert header == ["file", "folder"]
    assert lines == [[place, place.rpartition("/")[0]] for place in sorted(places)]
    assert len(places) == len(written.scan.rows)


def afew(written: Written, files: Files) -> None:
    class_folders(written, files)


def sfew(written: Written, files: Files) -> None:
    class_folders(written, files)


def oulu_casia(written: Written, files: Files) -> None:
    class_folders(written, files)


COMPARED = {
    reader.__name__: reader
    for reader in (
        expw, raf_db, raf_au, affectnet, emotionet, ferplus, disfa, bp4d, unbc, afew_va, dfew, affwild2,
        bp4d_plus, disfa_plus, affwild, veatic, sewa, ferv39k, mafw, raf_ml, raf_ce, ck_plus, afew, sfew, oulu_casia,
        omg, casme2, samm,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NATIVE_FORMS))
def test_native_files_come_back_cell_by_cell(
    name: str, merged: Path, written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    done = export_native(merged, name, tmp_path / "out")
    files = files_of(tmp_path / "out")
    assert len(files) == done.files > 0
    COMPARED[name](packed(written_of(name), merged), files)
    assert files == {}, "every file is one of the official ones"
    assert done.losses == NATIVE_FORMS[name].losses != ()


@pytest.mark.parametrize("name", ["disfa", "expw", "raf_db", "affwild2", "ferv39k", "raf_ce", "ck_plus", "omg"])
def test_what_was_written_reads_back_to_the_same_labels(
    name: str, merged: Path, written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    written = written_of(name)
    export_native(merged, name, tmp_path / "out")
    for folder in (path for path in written.root.iterdir() if not (tmp_path / "out" / path.name).exists()):
        (tmp_path / "out" / folder.name).symlink_to(folder)
    if name == "raf_db":
        for part in ("basic", "compound"):
            for folder in ("Image", "Annotation"):
                (tmp_path / "out" / part / folder).symlink_to(written.root / part / folder)
    scan = type(written.database)().read(DatabaseRoot(tmp_path / "out", follow_links=True))
    assert scan.defects == ()
    labels = [
        column
        for column in written.scan.rows.columns
        if column.startswith(("au_", "expression", "compound", "valence", "arousal")) and not column.endswith("_masked")
    ]
    key = ["image", "face"] if "face" in scan.rows.columns else ["image"]
    assert scan.rows.select(*key, *labels).sort(key).equals(written.scan.rows.select(*key, *labels).sort(key))


@pytest.mark.parametrize("name", ["casme2", "samm"])
def test_strings_of_codes_read_back_to_no_label_that_was_not_there_and_to_every_present_one(
    name: str, merged: Path, written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    written = written_of(name)
    export_native(merged, name, tmp_path / "out")
    for folder in (path for path in written.root.iterdir() if path.is_dir()):
        (tmp_path / "out" / folder.name).symlink_to(folder)
    scan = type(written.database)().read(DatabaseRoot(tmp_path / "out", follow_links=True))
    assert scan.defects == ()
    here, there = (rows.sort("track") for rows in (scan.rows, written.scan.rows))
    for column in ("track", "clip_frames", "expression", *(f"score_{score}" for score in written.database.scores)):
        assert here[column].equals(there[column])
    units = [column for column in here.columns if re.fullmatch(r"(au|side|au_intensity)_\d+", column)]
    lost = 0
    for unit in units:
        pairs = list(zip(here[unit], there[unit], strict=True))
        assert all(now in (None, before) for now, before in pairs)
        assert all(now == before for now, before in pairs if before != 0)
        lost += sum(now is None and before == 0 for now, before in pairs)
    named = sum("leave open" in str(reason) for reason in there["au_masked"])
    assert 0 < lost <= named * len(units), "only strings with alternatives lose absences"


def rows_of(merged: Path, name: str) -> pl.DataFrame:
    return to_polars(merged, side=NATIVE_FORMS[name].side, wide=True).filter(pl.col("database") == name)


def written_from(name: str, rows: pl.DataFrame) -> Files:
    return {file.path: str(file.content) for file in NATIVE_FORMS[name].files(rows)}


def relabelled(rows: pl.DataFrame, column: str, *values: Any) -> pl.DataFrame:
    """The first rows with these labels, as after a decision; the others with their own."""
    return rows.with_columns(pl.Series(column, [*values, *rows[column].to_list()[len(values) :]], rows.schema[column]))


def test_a_changed_class_moves_its_file_and_one_without_a_label_or_a_code_is_not_written(merged: Path) -> None:
    rows = rows_of(merged, "sfew").sort("source_file")
    assert rows["expression"][0] == "anger"
    first, second, third, fourth = rows["source_file"].head(4)
    text = written_from("sfew", relabelled(rows, "expression", "sadness", None, "contempt"))["class-folders.csv"]
    assert cells(text)[1:3] == [[first, "Train/Train_Aligned_Faces/Sad"], [fourth, "Train/Train_Aligned_Faces/Angry"]]
    assert second not in text
    assert third not in text


@pytest.mark.parametrize("name", ["expw", "ferv39k", "mafw"])
def test_a_list_has_no_line_for_a_class_that_was_taken_away_or_has_no_code(name: str, merged: Path) -> None:
    rows = rows_of(merged, name)
    rows = rows.filter(pl.col("expression").is_not_null()).sort("source_file", "source_line")
    (text, *_), (fewer, *_) = (
        list(written_from(name, own).values()) for own in (rows, relabelled(rows, "expression", None, "other"))
    )
    assert fewer.splitlines() == text.splitlines()[2:]


def test_micro_expressions_take_a_corrected_class_and_lose_the_line_of_one_taken_away(merged: Path) -> None:
    rows = rows_of(merged, "casme2").sort("source_line")
    assert rows["expression"][0] not in ("other", None)
    changed = relabelled(rows, "expression", "other", None)
    (file,) = NATIVE_FORMS["casme2"].files(changed)
    (whole,) = NATIVE_FORMS["casme2"].files(rows)
    found, before = sheet(bytes(file.content)), sheet(bytes(whole.content))  # type: ignore[arg-type]
    assert found[1] == (*before[1][:8], "others", before[1][9])
    assert found[2:] == before[3:]


def test_arousal_that_a_recipe_rescaled_is_written_as_the_file_had_it(merged: Path) -> None:
    rows = rows_of(merged, "omg")
    form = NATIVE_FORMS["omg"]
    assert form.as_read is not None
    rescaled = rows.with_columns(arousal=pl.col("arousal") * 2 - 1)
    assert form.as_read(rescaled, {"arousal": "rescaled"})["arousal"].to_list() == pytest.approx(
        rows["arousal"].to_list()
    )
    assert form.as_read(rows, {"arousal": "as_is"}).equals(rows)


@pytest.mark.parametrize(("name", "file"), [("raf_ce", "RAFCE_AUlabel.txt"), ("ck_plus", "_facs.txt")])
def test_action_units_of_which_one_was_taken_away_are_not_written_as_absent(name: str, file: str, merged: Path) -> None:
    rows = rows_of(merged, name)
    there, fewer = written_from(name, rows), written_from(name, relabelled(rows, "AU12", None))
    lines, left = (
        [(path, line) for path, text in files.items() if path.endswith(file) for line in text.splitlines() or [""]]
        for files in (there, fewer)
    )
    assert 0 < len({*lines} - {*left}) == len(lines) - len(left)
    assert {*left} < {*lines}


def test_first_frames_that_a_recipe_makes_neutral_have_no_files_in_ck_plus(merged: Path) -> None:
    rows = rows_of(merged, "ck_plus")
    assert written_from("ck_plus", rows.with_columns(frame=pl.lit(1, pl.Int32), expression=pl.lit("neutral"))) == {}


def test_a_database_that_the_dataset_lacks_or_that_is_not_written_is_refused(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown database of '.*': 'unbcc'; did you mean 'unbc'|unknown"):
        export_native(merged, "unbcc", tmp_path / "out")
    monkeypatch.setattr("affect_data.exporting.native.NATIVE_FORMS", {"expw": NATIVE_FORMS["expw"]})
    with pytest.raises(UsageError, match="the native files of disfa are not written; those of expw are"):
        export_native(merged, "disfa", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(merged: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="is not empty; name a new folder for the native files"):
        export_native(merged, "expw", tmp_path)
    assert files_of(tmp_path) == {"mine.txt": "kept"}


def test_a_failure_leaves_nothing_behind(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any, __: Any, file: Any) -> None:
        raise OSError(28, "No space left on device", file.path)

    monkeypatch.setattr("affect_data.exporting.native._write", broken)
    with pytest.raises(FileAccessError, match="no space is left"):
        export_native(merged, "expw", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_and_what_is_not_in_it(
    merged: Path, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    done = affect_data("export", merged, "--native", "disfa", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert done.stdout.startswith("wrote 59 file(s) of disfa to ")
    assert "lines that gave no row: the dataset does not hold what they say" in done.stdout
    told = json.loads(affect_data("export", merged, "--native", "expw", "--out", tmp_path / "other", "--json").stdout)
    assert (told["database"], told["files"]) == ("expw", 1)
    assert affect_data("export", merged, "--native", "disfa", "--out", tmp_path / "out").returncode == 2


def test_the_page_in_docs_is_the_one_that_the_code_writes(request: pytest.FixtureRequest) -> None:
    written = (request.config.rootpath / PAGE).read_text(encoding="utf-8")
    assert written == native_page(written), f"{PAGE} is stale: run `make docs`"


def test_codes_are_the_readers_table_read_backwards() -> None:
    assert codes_of(DATABASES["expw"].mapping, "expression")["neutral"] == "6"
    assert "uncertain" not in codes_of(DATABASES["affectnet"].mapping, "expression")
