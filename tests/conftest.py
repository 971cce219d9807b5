"""What every test runs with: one thread a process, no network, no folders of licensed databases from the environment."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for variable in [name for name in os.environ if name.startswith("AFFECT_ROOT_")]:
    del os.environ[variable]

from hypothesis import settings  # noqa: E402 - the environment comes before any import that reads it

settings.register_profile("affectkit", deadline=None, max_examples=40, print_blob=True)
settings.load_profile("affectkit")
