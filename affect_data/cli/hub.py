"""The commands ``affect-data publish``, ``rebuild`` and ``verify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json
from affect_data.cli.roots import FollowLinks, Root, Roots, named_roots
from affect_data.errors import UsageError
from affect_data.progress import progress_bars

if TYPE_CHECKING:
    from affect_data.hub.publish import Plan, PublishReport
    from affect_data.hub.verify_sources import Sources


Decisions = Annotated[
    list[Path],
    typer.Option(metavar="FILE", help="Publish the corrections of this file, which the recipe names; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command(epilog="Example: `affect-data publish merged anna/faces --dry-run`")(publish)
    app.command(epilog="Example: `affect-data rebuild hf://anna/faces merged --roots databases`")(rebuild)
    app.command(epilog="Example: `affect-data verify hf://anna/faces`")(verify)


def publish(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="The dataset repository, as user/name.")],
    tier: Annotated[
        str, typer.Option(metavar="recipe|derived|full", help="What is published, strictest first.")
    ] = "recipe",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and send nothing.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Let anybody read it, where every licence allows that.")
    ] = False,
    acknowledge: Annotated[
        list[str],
        typer.Option(
            metavar="DATABASE",
            help="Publish more than its licence allows, to a private repository that only people whom your agreement covers read.",
        ),
    ] = [],  # noqa: B006 - typer copies
    features: Annotated[
        list[str], typer.Option(metavar="NAME", help="Also publish these stored features; may be repeated.")
    ] = [],  # noqa: B006 - typer copies
    decisions: Decisions = [],  # noqa: B006 - typer copies
    erase_history: Annotated[
        bool, typer.Option("--erase-history", help="Also delete earlier commits and unused large files, for good.")
    ] = False,
    planned: Annotated[
        str, typer.Option("--plan", metavar="ID", help="Only carry out this plan of a --dry-run; refuse any other.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Publish a dataset on the Hub: privately, within its licences, planned first; a run that was killed goes on."""
    from affect_data.errors import DataError
    from affect_data.hub.policy import tier_named
    from affect_data.hub.publish import plan
    from affect_data.hub.publish import publish as carry_out

    with progress_bars() as progress:
        made = plan(
            dataset,
            repository,
            tier_named(tier),
            public=public,
            acknowledged=acknowledge,
            features=features,
            decisions=decisions,
            erases_history=erase_history,
            progress=progress,
        )
    if planned and made.id != planned:
        raise DataError(
            f"the plan is now {made.id}, not {planned}: the dataset or the repository has changed since. Look at it with --dry-run"
        )
    if not as_json:
        out_console.print(describe_plan(made), markup=False)
    if dry_run:
        if as_json:
            print_json({**made.to_json(), "published": False})
        return
    with progress_bars() as progress:
        report = carry_out(made, progress)
    _print_report(report, as_json=as_json)


def _print_report(report: "PublishReport", *, as_json: bool) -> None:
    plan = report.plan
    if as_json:
        print_json({**plan.to_json(), "published": True, "commit": report.commit, "read_back": report.read_back})
        return
    done = "published" if plan.commits else "unchanged"
    line = f"{done}: {plan.repository} at {report.commit[:12]}, {report.read_back} files read back"
    if plan.old is not None:
        line += f"; the history is this commit, {len(plan.old.objects):,} large file(s) deleted for good"
    out_console.print(line, markup=False)


def describe_plan(plan: "Plan") -> str:
    """The lines that show a plan."""
    from affect_data.cli.tables import table

    there = "exists" if plan.remote.exists else "new"
    lines = [
        f"plan {plan.id}: {plan.repository} ({'private' if plan.private else 'PUBLIC'}, {there}), tier {plan.tier}",
        "",
        table(["file", "bytes"], [*plan.upload.items(), ("all", plan.bytes)]),
        "",
        f"{len(plan.upload)} file(s) new or changed, {plan.unchanged} as they are, {len(plan.delete)} to delete, {plan.commits} commit(s)",
    ]
    lines.append(f"staged in {plan.staged.folder}")
    lines += [f"delete: {path}" for path in plan.delete]
    lines += _history_lines(plan)
    lines += [f"left out: {group}: {because}" for group, because in plan.staged.published.left_out.items()]
    lines += ["", "licences:"]
    for name, terms in plan.terms.items():
        lines.append(f"  {name}: drawn faces, none holds" if terms.drawn else f"  {name}: {terms.clause} ({terms.url})")
    return "\n".join(lines)


def _history_lines(plan: "Plan") -> list[str]:
    if plan.old is not None:
        return [f"erase for good: {plan.old}"]
    if plan.keeps_erased:
        return [
            "stays: something was erased from this dataset, but what was published before is kept in the history and the large files of "
            f"{plan.repository}; --erase-history deletes it"
        ]
    return []


def rebuild(
    repository: Annotated[str, typer.Argument(metavar="REPO", help="hf://user/name, or a folder that was downloaded.")],
    out: Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset folder to make.")],
    root: Root = [],  # noqa: B006 - typer copies
    roots: Roots = None,
    allow_differences: Annotated[
        bool, typer.Option("--allow-differences", help="Accept a dataset that differs or lacks a database.")
    ] = False,
    follow_links: FollowLinks = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that pack images.")] = 1,
    as_json: Json = False,
) -> None:
    """Build a published dataset again from your own databases, prove that it is the same, and attach what was made from it."""
    from affect_data.hub.rebuild import published_recipe
    from affect_data.hub.rebuild import rebuild as run_rebuild
    from affect_data.hub.repository import open_repository

    opened = open_repository(repository)
    recipe = published_recipe(opened, workers)
    with progress_bars() as progress:
        report = run_rebuild(
            opened, recipe, named_roots(recipe, root, roots), out,
            allow_differences=allow_differences, follow_links=follow_links, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(report.to_json())
        return
    rows = ", ".join(f"{split} {report.dataset.rows(split):,}" for split in report.dataset.splits)
    lines = [f"built {out}: {rows}; fingerprint {report.dataset.fingerprint}"]
    lines += [f"left out: {name}: its folder is not there" for name in report.without]
    lines += [f"differs: {difference}" for difference in report.differences]
    if not report.differences:
        lines.append(f"proven: the same bytes as {opened.name}")
    if report.corrected:
        lines.append(f"corrected: {report.corrected:,} rows")
    if report.attached:
        lines.append(f"attached again: {', '.join(report.attached)}")
    lines += [f"does not fit any more: {group}: {because}" for group, because in report.lost.items()]
    out_console.print("\n".join(lines), markup=False)


def verify(
    address: Annotated[str, typer.Argument(metavar="PATH|hf://REPO", help="A dataset folder or a repository.")],
    deep: Annotated[bool, typer.Option("--deep", help="Read all values and pictures, not only metadata.")] = False,
    root: Root = [],  # noqa: B006 - typer copies
    roots: Roots = None,
    follow_links: FollowLinks = False,
    workers: Annotated[int, typer.Option(min=1, help="Pictures that are read at a time, with --deep.")] = 2,
    as_json: Json = False,
) -> None:
    """Check a dataset or a published repository against its own statements, or a dataset against its databases; ends with 1 if something is wrong."""
    from affect_data.hub.verify import verify as run_verify

    sources = _sources(address, root, roots, deep=deep, follow_links=follow_links)
    with progress_bars() as progress:
        found = run_verify(address, deep=deep, sources=sources, workers=workers, progress=progress)
    if as_json:
        print_json(found.to_json())
    else:
        rows = ", ".join(f"{split} {count:,}" for split, count in found.rows.items())
        how = "metadata" if not deep else "every value, also of the sources," if sources else "every value"
        lines = [str(finding) for finding in found.findings]
        lines.append(
            f"{found.name}: {len(lines)} defect(s); {found.kind} with {rows}, {found.files} files, {how} looked at"
        )
        out_console.print("\n".join(lines), markup=False)
    if found.findings:
        raise typer.Exit(1)


def _sources(address: str, root: list[str], roots: Path | None, *, deep: bool, follow_links: bool) -> "Sources | None":
    """The databases to compare a dataset with; None where no option names one.

    Raises:
        UsageError: the options do not go together.
    """
    from affect_data.dataset.folder import open_dataset
    from affect_data.hub.verify import is_dataset
    from affect_data.hub.verify_sources import Sources, recipe_of

    if not root and roots is None:
        return None
    if not deep:
        raise UsageError("--root and --roots compare a dataset with its databases, which reads everything: add --deep")
    if not is_dataset(address):
        raise UsageError(
            f"--root and --roots: '{address}' is no dataset folder; `affect-data rebuild` compares what was published with databases"
        )
    recipe = recipe_of(open_dataset(address))
    return Sources(recipe, named_roots(recipe, root, roots), follow_links)
