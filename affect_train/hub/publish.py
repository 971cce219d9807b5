"""A run becomes a model repository: planned first, looked through for leaks, uploaded in one commit, read back."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affect_data.build.databases import Progress
from affect_data.databases.base import Tier
from affect_data.errors import UnknownNameError, UsageError
from affect_data.files import write_text
from affect_data.hub.card import with_section
from affect_data.hub.client import Remote, check_name, check_writer, hub, look, read_remote
from affect_data.hub.history import OldHistory, erase_history, old_history
from affect_data.hub.leaks import LeaksFoundError, find_leaks
from affect_data.hub.publish import BESIDE, RepositoryTakenError
from affect_data.hub.published import CARD, PUBLISHED
from affect_data.hub.upload import differing, send, used_objects
from affect_train.hub.card import card_metadata, card_section
from affect_train.hub.published import PublishedModel, read_published_model
from affect_train.hub.staging import StagedModel, staged_model

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MODEL = "model"


@dataclass(frozen=True)
class ModelPlan:
    """What a publishing will do.

    Attributes:
        repository: its name.
        private: whether the repository is, or will be, private.
        staged: what is published.
        remote: the repository as it is.
        upload: files that are new or changed, with their sizes.
        delete: files of ours that are no longer part of it.
        unchanged: how many files stay as they are.
        old: history and large files that are deleted for good; None if they stay.
    """

    repository: str
    private: bool
    staged: StagedModel
    remote: Remote
    upload: dict[str, int]
    delete: tuple[str, ...]
    unchanged: int
    old: OldHistory | None = None

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {
            "repository": self.repository,
            "exists": self.remote.exists,
            "visibility": "private" if self.private else "public",
            "upload": self.upload,
            "bytes": sum(self.upload.values()),
            "delete": list(self.delete),
            "unchanged": self.unchanged,
            "erase_history": None if self.old is None else self.old.to_json(),
            "commits": int(bool(self.upload or self.delete)),
            "licences": {
                name: {"terms": own.clause, "url": own.url, "drawn": own.drawn}
                for name, own in self.staged.terms.items()
            },
            "left_out": self.staged.published.left_out,
        }


@contextmanager
def planned(
    run: Path,
    repository: str,
    *,
    dataset: Path | None = None,
    public: bool = False,
    acknowledged: Collection[str] = (),
    erases_history: bool = False,
) -> Iterator[ModelPlan]:
    """What publishing a run would do; nothing is sent. Its files lie beside the run until the end of the block.

    Args:
        run: run folder.
        repository: ``user/name``.
        dataset: that the run was trained on; by default where its recipe says that it is.
        public: whether anybody may read it.
        acknowledged: databases for whose licence somebody takes responsibility; needed for a public model.
        erases_history: whether earlier commits, and large files that are no longer used, are deleted for good.

    Raises:
        UsageError: this is no run folder, or a public model lacks an acknowledgement.
        RepositoryTakenError: the repository holds something else, or is public.
        OtherReferencesError: branches, tags or pull requests keep the history that is to be erased.
        LeaksFoundError: what is to be published holds what must stay here.
        DataError: the dataset is another one, or a file cannot be read.
        HubError: the Hub refuses, or does not answer.
    """
    repository = check_name(repository)
    with staged_model(run, repository, dataset) as staged:
        _check_acknowledged(staged, acknowledged, public=public)
        api = hub()
        check_writer(api, repository)
        remote = look(api, repository, MODEL)
        before = _published_before(api, repository, remote)
        _refuse_taken(repository, remote, before, public=public)
        _write_card(api, staged, remote)
        leaks = find_leaks(staged.folder, Tier.DERIVED, repository)
        if leaks:
            raise LeaksFoundError(leaks)
        files = _files(staged)
        changed = differing(files, _known(staged), remote.files)
        gone = sorted(name for name in (before.files if before else ()) if name in remote.files and name not in files)
        private = remote.private if remote.exists else not public
        used = used_objects(files, _known(staged), remote, gone)
        old = old_history(api, repository, remote, used, MODEL) if erases_history else None
        yield ModelPlan(repository, private, staged, remote, changed, tuple(gone), len(files) - len(changed), old)


def publish(plan: ModelPlan, progress: Progress = lambda *_: None) -> str:
    """The newest commit, after the plan was carried out and every file was compared with what the Hub says of it.

    Raises:
        DataError: the repository does not hold what was sent, or still holds what was to be erased.
        HubError: the Hub refuses, somebody changed the repository meanwhile, or the connection broke off; run again, it goes on.
    """
    title = f"affectkit: weights {plan.staged.published.weights[:16]}"
    files, api = _files(plan.staged), hub()
    commit = send(
        api, plan.repository, plan.remote, files, plan.upload, plan.delete, title,
        known=_known(plan.staged), private=plan.private, kind=MODEL, progress=progress,
    )  # fmt: skip
    return commit if plan.old is None else erase_history(api, plan.repository, plan.old, commit, MODEL)


def _files(staged: StagedModel) -> dict[str, Path]:
    return {name: staged.folder / name for name in (*staged.published.files, PUBLISHED, CARD)}


def _known(staged: StagedModel) -> dict[str, str]:
    return {name: facts.sha256 for name, facts in staged.published.files.items()}


def _write_card(api: "HfApi", staged: StagedModel, remote: Remote) -> None:
    name = staged.published.name
    card = read_remote(api, name, CARD, remote.head, MODEL).decode(errors="replace") if CARD in remote.files else ""
    section = card_section(staged.published, staged.config, staged.recipe, staged.evaluation)
    write_text(staged.folder / CARD, with_section(card, card_metadata(staged.published, staged.recipe), section))


def _check_acknowledged(staged: StagedModel, acknowledged: Collection[str], *, public: bool) -> None:
    for name in acknowledged:
        if name not in staged.terms:
            raise UnknownNameError("database of this model", name, staged.terms)
    needed = {name: own for name, own in staged.terms.items() if not own.drawn and name not in acknowledged}
    if public and needed:
        listed = "".join(f"\n  {name}: {own.clause} ({own.url or 'no address'})" for name, own in needed.items())
        named = " ".join(f"--acknowledge {name}" for name in needed)
        raise UsageError(
            f"a public model was trained on {len(needed)} database(s) whose terms you have to judge:{listed}\n"
            f"Leave --public out; or, where these terms let a model be passed on, say so for each: `{named}`."
        )


def _published_before(api: "HfApi", repository: str, remote: Remote) -> PublishedModel | None:
    if PUBLISHED not in remote.files:
        return None
    return read_published_model(read_remote(api, repository, PUBLISHED, remote.head, MODEL), repository)


def _refuse_taken(repository: str, remote: Remote, before: PublishedModel | None, *, public: bool) -> None:
    if not remote.exists:
        return
    others = sorted(path for path in remote.files if path not in BESIDE)
    if before is None and others:
        because = f"holds something else ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})"
        raise RepositoryTakenError(repository, because, "Choose another name, or empty the repository")
    if not remote.private and not public:
        remedy = "Make it private in its settings, or say --public where every licence allows that"
        raise RepositoryTakenError(repository, "is public", remedy)
