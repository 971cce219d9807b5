"""A dataset becomes a repository: planned first, looked through for leaks, uploaded in one commit, read back."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from affect_data.build.databases import Progress
from affect_data.build.erased import Tombstones
from affect_data.build.existing import lock_at
from affect_data.databases.base import Tier
from affect_data.dataset.folder import MANIFEST, DatasetFolder, open_dataset
from affect_data.errors import DataError, UsageError
from affect_data.files import write_json, write_text
from affect_data.hub.card import card_metadata, card_section, with_section
from affect_data.hub.client import (
    Remote,
    check_name,
    check_writer,
    hub,
    look,
    read_remote,
)
from affect_data.hub.croissant import croissant
from affect_data.hub.history import OldHistory, erase_history, old_history
from affect_data.hub.leaks import LeaksFoundError, find_leaks
from affect_data.hub.policy import ORDER, Terms, check_permitted, terms_of
from affect_data.hub.published import CARD, CROISSANT, PUBLISHED, Published, read_published
from affect_data.hub.staging import KEYS, Staged, remove_staging, stage
from affect_data.hub.upload import differing, digest, send, used_objects

if TYPE_CHECKING:
    from huggingface_hub import HfApi

BESIDE: Final = (".gitattributes", CARD)
"""What a repository may hold that affectkit has not published to yet."""


class RepositoryTakenError(UsageError):
    """A repository that a dataset must not be published to."""

    def __init__(self, repository: str, because: str, remedy: str) -> None:
        super().__init__(f"{repository} {because}. {remedy}")


@dataclass(frozen=True)
class Plan:
    """What a publishing will do.

    Attributes:
        repository: its name.
        tier: of what is published.
        private: whether the repository is, or will be, private.
        terms: of the databases.
        staged: what is published.
        remote: the repository as it is.
        manifest: sha256 of the dataset's manifest when it was staged.
        upload: files that are new or changed, with their sizes.
        delete: files of ours that are no longer part of it.
        unchanged: how many files stay as they are.
        old: history and large files that are deleted for good; None if they stay.
        erased: whether something was erased from the dataset.
    """

    repository: str
    tier: Tier
    private: bool
    terms: dict[str, Terms]
    staged: Staged
    dataset: Path
    remote: Remote
    manifest: str
    upload: dict[str, int]
    delete: tuple[str, ...]
    unchanged: int
    old: OldHistory | None = None
    erased: bool = False

    @property
    def id(self) -> str:
        """12 hexadecimal digits that identify what is published, where, and what is there before."""
        said = f"{self.repository} {self.private} {self.remote.head} {self.staged.published.text()} {sorted(self.upload.items())} {self.delete}"
        if self.old is not None:
            said += f" {self.old.to_json()}"
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    @property
    def bytes(self) -> int:
        """Of all files that are new or changed; what the Hub has under another name is not sent again."""
        return sum(self.upload.values())

    @property
    def commits(self) -> int:
        """How many there will be."""
        return int(bool(self.upload or self.delete))

    @property
    def keeps_erased(self) -> bool:
        """Whether something was erased from the dataset, but not from what the repository keeps of earlier commits."""
        return self.erased and self.remote.exists and self.old is None

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {
            "plan": self.id,
            "repository": self.repository,
            "exists": self.remote.exists,
            "visibility": "private" if self.private else "public",
            "tier": str(self.tier),
            "upload": self.upload,
            "bytes": self.bytes,
            "delete": list(self.delete),
            "unchanged": self.unchanged,
            "commits": self.commits,
            "erase_history": None if self.old is None else self.old.to_json(),
            "keeps_erased": self.keeps_erased,
            "licences": {
                name: {"terms": own.clause, "publishes": str(own.publishes), "url": own.url, "drawn": own.drawn}
                for name, own in self.terms.items()
            },
            "left_out": self.staged.published.left_out,
        }


@dataclass(frozen=True)
class PublishReport:
    """What a publishing did.

    Attributes:
        plan: that it followed.
        commit: the newest commit of the repository.
        read_back: files whose size and digest the Hub was asked for afterwards.
    """

    plan: Plan
    commit: str
    read_back: int


def plan(
    dataset: Path,
    repository: str,
    tier: Tier = Tier.RECIPE,
    *,
    public: bool = False,
    acknowledged: Collection[str] = (),
    features: Sequence[str] = (),
    decisions: Sequence[Path] = (),
    erases_history: bool = False,
    progress: Progress = lambda *_: None,
) -> Plan:
    """What publishing a dataset would do; everything is written to the disk, and nothing to the Hub.

    Args:
        dataset: its folder.
        repository: ``user/name``.
        tier: what is published.
        public: whether anybody may read it.
        acknowledged: databases for whose licence somebody takes responsibility.
        features: names of stored features that are published too.
        decisions: files of decisions that the data recipe names, whose corrections are published too.
        erases_history: whether earlier commits, and large files that are no longer used, are deleted for good.
        progress: told about every step.

    Raises:
        NotPermittedError: a licence does not let the tier out.
        UsageError: tier full is asked for, and rows name frames of videos.
        RepositoryTakenError: the repository holds something else, or another tier, or is public.
        OtherReferencesError: branches, tags or pull requests keep the history that is to be erased.
        LeaksFoundError: what is to be published holds what must stay here.
        HubError: the Hub refuses, or does not answer.
    """
    repository = check_name(repository)
    folder = open_dataset(dataset)
    terms = terms_of(folder)
    check_permitted(terms, tier, acknowledged, public=public)
    _check_asked_for(folder, tier, features, decisions)
    api = hub()
    check_writer(api, repository)
    remote = look(api, repository)
    before = _published_before(api, repository, remote)
    _refuse_taken(repository, remote, before, tier, public=public)
    manifest = digest(dataset / MANIFEST)
    staged = stage(folder, repository, tier, features, decisions, progress)
    card = read_remote(api, repository, CARD, remote.head).decode(errors="replace") if CARD in remote.files else ""
    write_documents(staged, card)
    _refuse_leaks(staged, tier)
    files = _files(staged)
    changed = differing(files, _known(staged), remote.files)
    gone = sorted(path for path in (before.files if before else ()) if path in remote.files and path not in files)
    old = (
        old_history(api, repository, remote, used_objects(files, _known(staged), remote, gone))
        if erases_history
        else None
    )
    return Plan(
        repository, tier, remote.private if remote.exists else not public, terms, staged, dataset, remote, manifest, changed,
        tuple(gone), len(files) - len(changed), old, bool(Tombstones.from_lock(lock_at(dataset))),
    )  # fmt: skip


def publish(planned: Plan, progress: Progress = lambda *_: None) -> PublishReport:
    """Carries a plan out: one commit, every file is compared with what the Hub says of it, and then the history is erased if that is planned.

    Raises:
        DataError: the dataset has changed since the plan, the repository does not hold what was sent, or still holds what was erased.
        HubError: the Hub refuses, somebody changed the repository meanwhile, or the connection broke off; run again, it goes on.
    """
    if digest(planned.dataset / MANIFEST) != planned.manifest:
        raise DataError(
            f"'{planned.dataset}' has changed since the plan was made; nothing was uploaded. Run the same command again"
        )
    title = f"affectkit: tier {planned.tier}, fingerprint {planned.staged.lock['fingerprint']}"
    api = hub()
    commit = send(
        api, planned.repository, planned.remote, _files(planned.staged), planned.upload, planned.delete, title,
        known=_known(planned.staged), private=planned.private, progress=progress,
    )  # fmt: skip
    if planned.old is not None:
        commit = erase_history(api, planned.repository, planned.old, commit)
    remove_staging(planned.staged)
    return PublishReport(planned, commit, len(planned.upload) + planned.unchanged)


def write_documents(staged: Staged, card: str = "") -> None:
    """Writes the card and ``croissant.json`` of what is staged.

    Args:
        staged: gives the facts.
        card: as it is now, whose other parts stay.
    """
    section = card_section(staged.published, staged.lock, staged.statistics)
    write_text(staged.folder / CARD, with_section(card, card_metadata(staged.published), section))
    write_json(staged.folder / CROISSANT, croissant(staged.published, staged.lock))


def _refuse_leaks(staged: Staged, tier: Tier) -> None:
    leaks = [leak for leak in find_leaks(staged.folder, tier, staged.published.name) if leak.file != KEYS]
    if leaks:
        raise LeaksFoundError(leaks)


def _check_asked_for(folder: DatasetFolder, tier: Tier, features: Sequence[str], decisions: Sequence[Path]) -> None:
    if folder.videos is not None and tier is Tier.FULL:
        raise UsageError(
            f"'{folder.path}': rows name frames of videos, and a published row holds its own picture, whose sha256 proves it; nothing was uploaded. "
            "Publish it with --tier recipe or derived: who owns the databases builds the same from it. For tier full, extract the frames "
            "(`affect-data frames`) and build without `frames: video`"
        )
    if features and tier is Tier.RECIPE:
        raise UsageError("--features needs tier derived or full: tier recipe holds nothing that was made from faces")
    if decisions and tier is Tier.RECIPE:
        raise UsageError("--decisions needs tier derived or full: tier recipe holds no label, and a correction is one")


def _published_before(api: "HfApi", repository: str, remote: Remote) -> Published | None:
    if PUBLISHED not in remote.files:
        return None
    return read_published(read_remote(api, repository, PUBLISHED, remote.head), repository)


def _refuse_taken(repository: str, remote: Remote, before: Published | None, tier: Tier, *, public: bool) -> None:
    if not remote.exists:
        return
    others = sorted(path for path in remote.files if path not in BESIDE)
    if before is None and others:
        because = f"holds something else ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})"
        raise RepositoryTakenError(repository, because, "Choose another name, or empty the repository")
    if before is not None and ORDER.index(before.tier) > ORDER.index(tier):
        because = f"holds tier {before.tier}, whose files would stay in its history"
        raise RepositoryTakenError(
            repository, because, f"Publish `--tier {before.tier}`, or tier {tier} to another repository"
        )
    if not remote.private and not public:
        remedy = "Make it private in its settings, or say --public where every licence allows that"
        raise RepositoryTakenError(repository, "is public", remedy)


def _files(staged: Staged) -> dict[str, Path]:
    return {path: staged.folder / path for path in (*staged.published.files, PUBLISHED, CARD, CROISSANT)}


def _known(staged: Staged) -> dict[str, str]:
    """The sha256 of staged files by path, as far as it is known."""
    return {path: facts.sha256 for path, facts in staged.published.files.items()}
