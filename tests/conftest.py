"""The surroundings of every test: one thread per process, no network, no folders of licensed databases from the environment."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# The processes that tests start would each compile the packages anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
for variable in [name for name in os.environ if name.startswith("AFFECT_ROOT_")]:
    del os.environ[variable]

import shutil  # noqa: E402 - the environment comes before any import that reads it
import signal  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import unflushed  # noqa: E402, F401 - by being imported
from hypothesis import settings  # noqa: E402
from pickles import pickles_in  # noqa: E402
from python_processes import loaded_processes  # noqa: E402

# A shell starts background jobs with Ctrl-C ignored, and what they start inherits that: tests that interrupt would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("affectkit", deadline=None, max_examples=40, print_blob=True)
settings.load_profile("affectkit")


_PICKLES_BY_HAND: set[str] = set()


@pytest.fixture(scope="session", autouse=True)
def _nothing_that_was_written_is_a_pickle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looks, when all tests are done, through what they had the packages write: datasets, runs, soft labels, features, audits, reports."""
    yield
    found = pickles_in(tmp_path_factory.getbasetemp())
    assert [path for path in found if path.partition("/")[0] not in _PICKLES_BY_HAND] == []


@pytest.fixture(autouse=True)
def _pickles_by_hand(request: pytest.FixtureRequest) -> None:
    """Leaves a test's folder out of that, where the test itself writes pickles into it."""
    if request.node.get_closest_marker("writes_pickles"):
        _PICKLES_BY_HAND.add(request.getfixturevalue("tmp_path").name)


@pytest.fixture(scope="session")
def one_process_recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder ``recipes`` whose builds pack a few faces in one process, where starting a second would take longer than packing."""
    folder = tmp_path_factory.mktemp("repository") / "recipes"
    shutil.copytree(Path(__file__).parents[1] / "recipes", folder)
    for file in folder.rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("\nworkers: 2\n", "\nworkers: 1\n"), encoding="utf-8")
    return folder


@pytest.fixture
def loaded_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets studies run their chains in processes that have loaded the libraries."""
    from affect_data import processes

    real = processes.get_context
    monkeypatch.setattr(
        processes, "get_context", lambda method: loaded_processes() if method == "spawn" else real(method)
    )
