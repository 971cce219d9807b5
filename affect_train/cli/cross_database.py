"""The commands ``affect-train judge`` and ``affect-train cross-database``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affect_data.errors import UsageError
from affect_train.cli.common import Json, Workers, leave_process_group, out_console, print_json

if TYPE_CHECKING:
    from affect_train.study.execution import RunCommand

COMMANDS = ("judge", "cross-database")

Resamples = Annotated[int, typer.Option("--bootstrap", min=1, help="Resamples of people behind 95% intervals.")]


def register(app: typer.Typer, run: "RunCommand") -> None:
    """Adds the commands to an application; `run` is how a row of the matrix runs its commands."""
    app.command(epilog="Example: `affect-train judge runs/teacher merged protocols/au.yaml`")(judge)

    @app.command(
        epilog="Example: `affect-train cross-database teacher.yaml --protocol protocols/au.yaml --out runs/cross --workers 2`"
    )
    def cross_database(
        recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A training recipe (YAML).")],
        overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Entries to set.")] = None,
        protocol: Annotated[Path | None, typer.Option(help="By which the models are judged (YAML).")] = None,
        out: Annotated[Path | None, typer.Option(help="Folder; an interrupted run is resumed.")] = None,
        beside: Annotated[
            list[Path] | None, typer.Option(help="Another finished folder to show beside it; may be repeated.")
        ] = None,
        workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
        resamples: Resamples = 1000,
        as_json: Json = False,
    ) -> None:
        """Train without each database in turn, and judge each model on the database that it has not seen."""
        from affect_train.evaluation.protocol import read_protocol
        from affect_train.recipe.recipe import read_recipe
        from affect_train.study import cross_database as study

        if protocol is None or out is None:
            missing = "--protocol" if protocol is None else "--out"
            raise UsageError(f"name {'a protocol' if protocol is None else 'a folder'} by {missing}")
        validated, judged_by = read_recipe(recipe, overrides or []), read_protocol(protocol)
        others = {str(folder): study.read_result(folder) for folder in beside or []}
        study.same_protocol(
            {"this call": judged_by.stated(), **{name: one["protocol"] for name, one in others.items()}}
        )
        text = protocol.read_text(encoding="utf-8")
        document = study.cross_database(validated, judged_by, text, out, run, workers=workers, resamples=resamples)
        if as_json:
            print_json(document)
            return
        out_console.print(describe(document), markup=False)
        for name, other in others.items():
            out_console.print(f"{name}\n{describe(other)}", markup=False)


def judge(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, a model folder, or a model on the Hub.")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    protocol: Annotated[Path, typer.Argument(metavar="PROTOCOL", help="By which it is judged (YAML).")],
    resamples: Resamples = 1000,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Show the figures of a model on each database by a protocol, whose hash says which figures are comparable."""
    from affect_train.evaluation.judging import judge as run_judge
    from affect_train.evaluation.protocol import read_protocol

    result = run_judge(run, dataset, read_protocol(protocol), resamples=resamples, workers=workers)
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        out_console.print(_table({"figure": result["figures"]}, result["protocol"]), markup=False)


def describe(document: Mapping[str, Any]) -> str:
    """The matrix: for each task a line a training and a column a database; the database that a model has not seen is marked by ``*``."""
    unseen = {f"without-{family}": names for family, names in document["families"].items()}
    shown = _table(document["figures"], document["protocol"], unseen)
    notes = [f"[{family} is not left out: {because}]" for family, because in document["left_out"].items()]
    return "\n".join([shown, *notes])


def _table(
    rows: Mapping[str, Mapping[str, Any]], protocol: Mapping[str, str], unseen: Mapping[str, Any] | None = None
) -> str:
    from affect_train.cli.tables import aligned

    lines: list[str] = []
    tasks = dict.fromkeys(task for figures in rows.values() for one in figures.values() for task in one)
    for task in tasks:
        names = sorted({name for figures in rows.values() for name, one in figures.items() if task in one})
        metric = next(one[task]["metric"] for figures in rows.values() for one in figures.values() if task in one)
        for what, key in ((metric, "value"), ("F1", "f1"), ("regret", "regret")):
            if key != "value" and task != "au":
                continue
            cells = [
                [
                    row,
                    *(
                        _cell(figures.get(name, {}).get(task), key, name in (unseen or {}).get(row, ()))
                        for name in names
                    ),
                ]
                for row, figures in rows.items()
            ]
            lines += [*aligned([[f"{task} {what}", *names], *cells]), ""]
    if unseen:
        lines.append("[* not seen in training; `all` is trained on every database and judged on other people of each]")
    if "au" in tasks:
        lines.append("[regret: what thresholds tuned on these very rows would add to the mean F1 at the protocol's]")
    return "\n".join(
        [*lines, f"[protocol {protocol['title']}: {protocol['hash']}; figures of one hash are comparable]"]
    )


def _cell(figure: Mapping[str, Any] | None, key: str, is_unseen: bool) -> str:
    value = None if figure is None else figure[key]
    if figure is None or value is None:
        return "-"
    interval = figure["interval"] if key == "value" else None
    shown = f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
    return f"{shown}*" if is_unseen else shown
