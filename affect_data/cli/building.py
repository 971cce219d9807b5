"""The command ``affect-data build``: whole, by parts, and the end of parts."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affect_data.cli.common import out_console, print_json, print_next
from affect_data.errors import UsageError
from affect_data.progress import log, progress_bars

if TYPE_CHECKING:
    from affect_data.build.build import BuildReport
    from affect_data.build.recipe import DataRecipe


@dataclass(frozen=True)
class Call:
    """A call of the command.

    Attributes:
        recipe: what to merge.
        out: the dataset to make.
        roots: folder by database name.
        overwrite: whether another dataset at `out` may be replaced.
        follow_links: whether symbolic links may lead out of the databases' folders.
        accept_incomplete: whether incomplete databases are built as they are.
    """

    recipe: "DataRecipe"
    out: str
    roots: dict[str, Path]
    overwrite: bool
    follow_links: bool
    accept_incomplete: bool

    def run(self, part: str | None, *, finish: bool, as_json: bool) -> None:
        """Does what the options ask for, and prints what came of it.

        Args:
            part: ``i/n`` to build one part; None to build everything.
            finish: whether to make the dataset of parts.
            as_json: whether to print a document.

        Raises:
            UsageError: the options contradict one another, or `out` is no folder of this machine.
        """
        if "://" in self.out:
            raise UsageError(
                f"'{self.out}' is no folder: a dataset is built by renames and links, which an object store does not have, so that a kill "
                f"would leave half a dataset there. Build it in a folder, then copy it: `affect-data copy FOLDER {self.out}`"
            )
        if part is not None and finish:
            raise UsageError("--part builds one part and --finish makes the dataset of all: give one of them")
        if part is not None:
            self._part(part, as_json=as_json)
            return
        report = self._finish() if finish else self._whole()
        _print(report, self.out, as_json=as_json)

    def _whole(self) -> "BuildReport":
        from affect_data.build.build import build

        if self.recipe.engine == "ray":
            return self._on_ray()
        with progress_bars() as progress:
            return build(
                self.recipe, self.roots, Path(self.out), overwrite=self.overwrite, follow_links=self.follow_links,
                accept_incomplete=self.accept_incomplete, progress=progress,
            )  # fmt: skip

    def _on_ray(self) -> "BuildReport":
        from affect_data.build.shared.ray_engine import build_on_ray

        with progress_bars() as progress:
            report = build_on_ray(
                self.recipe, self.roots, Path(self.out), overwrite=self.overwrite, follow_links=self.follow_links,
                accept_incomplete=self.accept_incomplete, progress=progress,
            )  # fmt: skip
        for death in report.deaths:
            log.print(f"begun again: {death}", markup=False)
        log.print(f"{report.parts} parts on {report.nodes} node(s)", markup=False)
        return report.build

    def _finish(self) -> "BuildReport":
        from affect_data.build.shared.finish import finish

        with progress_bars() as progress:
            return finish(
                self.recipe, self.roots, Path(self.out), overwrite=self.overwrite,
                accept_incomplete=self.accept_incomplete, progress=progress,
            )  # fmt: skip

    def _part(self, text: str, *, as_json: bool) -> None:
        from affect_data.build.shared.folder import PartNumber
        from affect_data.build.shared.part import build_part

        with progress_bars() as progress:
            report = build_part(
                self.recipe, self.roots, Path(self.out), PartNumber.parse(text), follow_links=self.follow_links,
                accept_incomplete=self.accept_incomplete, progress=progress,
            )  # fmt: skip
        if as_json:
            print_json(asdict(report))
            return
        again = f", {report.reused} of them before" if report.reused else ""
        out_console.print(
            f"part {report.part} of {self.out}: {report.shards} of {report.of} shards packed{again}", markup=False
        )
        if report.left:
            out_console.print(f"not finished yet: parts {', '.join(map(str, report.left))}", markup=False)
        else:
            print_next("the same command with --finish in place of --part")


def _print(report: "BuildReport", out: str, *, as_json: bool) -> None:
    from affect_data.cli.tables import build_to_json, describe_build

    if as_json:
        print_json(build_to_json(report))
    else:
        out_console.print(describe_build(report), markup=False)
        print_next(f"affect-data stats {out}", f"affect-data view {out}", f"affect-data audit {out}")
