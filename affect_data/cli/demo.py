"""The commands ``affect-data demo`` and ``affect-data reveal``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json
from affect_data.progress import progress_bars


def register(app: typer.Typer) -> None:
    """Adds the commands to an application."""
    app.command(epilog="Example: `affect-data demo demo-databases --seed 0`")(demo)
    app.command(epilog="Example: `affect-data reveal merged demo-databases/truth.parquet merged-truth`")(reveal)


def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    seed: Annotated[int, typer.Option(help="Decides every face.")] = 0,
    faces: Annotated[int | None, typer.Option(min=1, help="About how many faces in all.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = 1,
    databases: Annotated[
        str | None,
        typer.Option(metavar="NAME[=SHARE],...", help="Which databases, by default six; shares of the faces."),
    ] = None,
    label_noise: Annotated[
        str | None,
        typer.Option(metavar="SHARE|NAME=SHARE,...", help="Share of the expression labels that are another's."),
    ] = None,
    shift: Annotated[float, typer.Option(help="How far apart the databases' styles are; 0 all alike.")] = 1.0,
    nuisance: Annotated[float, typer.Option(help="Factor of pose, light, blur and noise.")] = 1.0,
    imbalance: Annotated[float, typer.Option(help="Power of the expressions' frequencies; 0 all equal.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Write demo databases: drawn faces in the official layouts, by default of six databases, with the truth in a file of its own."""
    from affect_data.demo.world import FACES, SHARES, TRUTH, World, write_demo

    shares = SHARES if databases is None else _shares(databases, SHARES)
    noise = {} if label_noise is None else _noise(label_noise, list(shares))
    world = World(shares, noise, shift, nuisance, imbalance)
    with progress_bars() as progress:
        truth = write_demo(out, seed, faces or FACES, workers, progress, world)
    counts = dict(truth["database"].value_counts().sort("database").iter_rows())
    if as_json:
        print_json({"out": str(out), "faces": len(truth), "databases": counts, "truth": str(out / TRUTH)})
        return
    out_console.print(
        f"{len(truth):,} faces in {len(shares)} databases under {out}; the truth is in {out / TRUTH}", markup=False
    )
    if databases is None:
        out_console.print(f"Next: affect-data check recipes/demo/data.yaml --roots {out}", markup=False)


def reveal(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Built from demo databases.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The truth.parquet of these databases.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The dataset folder to make.")],
    as_json: Json = False,
) -> None:
    """Write the same demo faces with every label that is known of them, so that models can be evaluated on all tasks."""
    from affect_data.demo.known_labels import reveal as run_reveal

    folder = run_reveal(dataset, truth, out)
    rows = {split: folder.rows(split) for split in folder.splits}
    if as_json:
        print_json({"out": str(out), "rows": rows, "fingerprint": folder.fingerprint})
        return
    counts = ", ".join(f"{split} {count:,}" for split, count in rows.items())
    out_console.print(f"{counts} rows with every label of the demo world in {out}", markup=False)


def _shares(text: str, usual: Mapping[str, float]) -> dict[str, float]:
    """The databases and shares of ``a,b=0.2``; a database without a number gets its usual share, or the mean of the usual shares."""
    from affect_data.errors import UsageError

    found: dict[str, float] = {}
    for entry in text.split(","):
        name, equals, number = entry.strip().partition("=")
        if not name or name in found:
            raise UsageError(f"--databases {text}: expected names, each once, such as affwild2,disfa=0.2")
        found[name] = _number("--databases", entry, number) if equals else usual.get(name, 0.15)
    return found


def _noise(text: str, names: list[str]) -> dict[str, float]:
    """Label noise by database, from ``0.1`` for all or ``a=0.1,b=0.2``."""
    if "=" not in text:
        return dict.fromkeys(names, _number("--label-noise", text, text))
    found = {}
    for entry in text.split(","):
        name, _, number = entry.strip().partition("=")
        found[name] = _number("--label-noise", entry, number)
    return found


def _number(option: str, entry: str, text: str) -> float:
    from affect_data.errors import UsageError

    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} {entry}: '{text}' is no number") from None
