"""The command ``affect-data erase``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json

if TYPE_CHECKING:
    from affect_data.erasing.plan import ErasePlan


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command(epilog="Example: `affect-data erase merged --subject disfa:SN001`")(erase)


def erase(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    subject: Annotated[
        list[str], typer.Option("--subject", metavar="DATABASE:ID", help="A person, with all rows; may be repeated.")
    ] = [],  # noqa: B006 - typer copies
    uid: Annotated[list[str], typer.Option("--uid", help="A row; may be repeated.")] = [],  # noqa: B006
    face: Annotated[
        list[Path], typer.Option("--face", metavar="PICTURE", help="Rows with this picture; may be repeated.")
    ] = [],  # noqa: B006
    run: Annotated[
        list[Path], typer.Option("--run", help="A training run to look at: did it see them? May be repeated.")
    ] = [],  # noqa: B006
    yes: Annotated[bool, typer.Option("--yes", help="Erase what the plan shows without a question.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person, rows or a picture with all copies and all that was made from them; shows a plan first."""
    from affect_data.erasing.erase import erase as run_erase
    from affect_data.erasing.plan import plan_erasure
    from affect_data.erasing.selection import Wanted

    plan = plan_erasure(dataset, Wanted(subject, uid, face), run)
    if not as_json:
        out_console.print(describe_erasure(plan), markup=False)
    if not yes and (as_json or not sys.stdin.isatty() or not typer.confirm("Erase them?")):
        if as_json:
            print_json({**plan.to_json(), "erased": False})
        else:
            out_console.print("nothing was erased; pass --yes to do it", markup=False)
        return
    report = run_erase(plan)
    if as_json:
        print_json({**plan.to_json(), "erased": True, "fingerprint": report.dataset.fingerprint})
        return
    rows = ", ".join(f"{split} {report.dataset.rows(split):,}" for split in report.dataset.splits)
    lines = [f"erased {report.rows:,} rows; {dataset} has {rows}; fingerprint {report.dataset.fingerprint}"]
    lines += [f"taken out of the decisions of reviewers: {report.decisions:,}"] if report.decisions else []
    lines += [f"removed: {place}" for place in report.removed]
    out_console.print("\n".join(lines), markup=False)


def describe_erasure(plan: "ErasePlan") -> str:
    """The lines that show a plan."""
    from affect_data.cli.tables import table
    from affect_data.video.stored import VIDEOS

    selection = plan.selection
    rows = [[split, name, count] for split, own in plan.rows.items() for name, count in own.items()]
    lines = [table(["split", "database", "rows to erase"], rows), ""] if rows else []
    lines.append(
        f"{selection.named:,} named and {selection.rows - selection.named:,} with copies of their pictures; "
        f"{len(selection.digests):,} pictures"
    )
    lines += [f"erased before: {name}" for name in selection.already]
    lines += [f"stays: {count:,} more rows of {who} (--subject {who})" for who, count in selection.more_of.items()]
    lines += [f"without the rows, still valid: {', '.join(plan.carried)}"] if plan.carried else []
    lines += [f"without the rows, to be made again: {', '.join(plan.stale)}"] if plan.stale else []
    lines += [f"saw them: {name}: {why}" for name, why in plan.runs.items()]
    lines += [f"video {VIDEOS}/{video.name}: {video.fate}" for video in plan.videos]
    lines += [f"also: {place}: {what}" for place, what in plan.elsewhere.items()]
    lines.append("Other models and copies of the dataset are not known here, nor what was published: publish again.")
    return "\n".join(lines)
