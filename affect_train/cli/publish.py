"""The command ``affect-train publish``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.progress import progress_bars
from affect_train.cli.common import Json, out_console, print_json

if TYPE_CHECKING:
    from affect_train.hub.publish import ModelPlan

COMMANDS = ("publish",)


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command(epilog="Example: `affect-train publish runs/teacher anna/teacher --dry-run`")(publish)


def publish(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="The model repository, as user/name.")],
    dataset: Annotated[
        Path | None,
        typer.Option(help="The dataset that the run was trained on; by default where its recipe says that it is."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and send nothing.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Let anybody read it.")] = False,
    acknowledge: Annotated[
        list[str],
        typer.Option(metavar="DATABASE", help="Its terms let a model be passed on to the public; may be repeated."),
    ] = [],  # noqa: B006 - typer copies
    erase_history: Annotated[
        bool, typer.Option("--erase-history", help="Also delete earlier commits and unused large files, for good.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish a trained model on the Hub: privately, as safetensors and ONNX, with a card from facts, planned first."""
    from affect_train.hub.publish import planned
    from affect_train.hub.publish import publish as carry_out

    with planned(
        run, repository, dataset=dataset, public=public, acknowledged=acknowledge, erases_history=erase_history
    ) as plan:
        if not as_json:
            out_console.print(describe_plan(plan), markup=False)
        commit = ""
        if not dry_run:
            with progress_bars() as progress:
                commit = carry_out(plan, progress)
        if as_json:
            print_json({**plan.to_json(), "published": not dry_run, "commit": commit})
        elif not dry_run:
            done = "published" if plan.upload or plan.delete else "unchanged"
            line = f"{done}: {plan.repository} at {commit[:12]}"
            if plan.old is not None:
                line += f"; the history is this commit, {len(plan.old.objects):,} large file(s) deleted for good"
            out_console.print(line, markup=False)


def describe_plan(plan: "ModelPlan") -> str:
    """The lines that show a plan."""
    from affect_data.cli.tables import table

    there = "exists" if plan.remote.exists else "new"
    lines = [
        f"{plan.repository} ({'private' if plan.private else 'PUBLIC'}, {there})",
        "",
        table(["file", "bytes"], [*plan.upload.items(), ("all", sum(plan.upload.values()))]),
        "",
        f"{len(plan.upload)} file(s) new or changed, {plan.unchanged} as they are, {len(plan.delete)} to delete",
    ]
    lines += [f"delete: {name}" for name in plan.delete]
    if plan.old is not None:
        lines.append(f"erase for good: {plan.old}")
    lines += [f"left out: {name}: {because}" for name, because in plan.staged.published.left_out.items()]
    lines += ["", "trained on:"]
    for name, terms in plan.staged.terms.items():
        where = f" ({terms.url})" if terms.url else ""
        lines.append(f"  {name}: drawn faces, no licence holds" if terms.drawn else f"  {name}: {terms.clause}{where}")
    return "\n".join(lines)
