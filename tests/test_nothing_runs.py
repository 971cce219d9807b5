"""Nothing that is read runs code, and no shell is started: the source is looked through for every way that Python knows."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("affect_data", "affect_train", "benchmarks", "recipes")
    for path in (REPOSITORY / folder).rglob("*.py")
)

PICKLES = frozenset(
    {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
)
"""Modules that read or write what runs code when it is read."""

RUN_TEXT = frozenset({"eval", "exec", "compile", "__import__"})

REFUSED = frozenset(
    {
        "torch.load", "torch.save", "torch.jit.load", "torch.hub.load", "numpy.fromregex",
        "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all",
        "yaml.Loader", "yaml.FullLoader", "yaml.UnsafeLoader", "yaml.CLoader",
        "pandas.read_pickle", "polars.DataFrame.deserialize", "polars.LazyFrame.deserialize",
        "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnl", "os.spawnv", "subprocess.getoutput", "subprocess.getstatusoutput",
        "code.interact", "runpy.run_path",
    }
)  # fmt: skip

ONLY_AS = {
    "allow_pickle": False,
    "weights_only": True,
    "trust_remote_code": False,
    "shell": False,
}
"""Arguments, and the only value that they may have."""

METHODS = frozenset({"load_state", "save_state", "read_pickle", "to_pickle"})
"""Of Accelerate and of frames: they read or write pickles."""


BETWEEN_OWN_PROCESSES = "affect_data/processes.py"
FOREIGN_WEIGHTS = "benchmarks/aligning.py"
"""Writes random weights into the form that face-alignment reads."""
"""Sends work and results through pipes between processes that it started itself, as `multiprocessing` does; it pickles to no file and from none."""


def imported(tree: ast.AST) -> dict[str, str]:
    """What the names of a module stand for, by import."""
    found = {"np": "numpy", "pl": "polars", "pd": "pandas"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                name.asname or name.name.partition(".")[0]: name.name if name.asname else name.name.partition(".")[0]
                for name in node.names
            }
        if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return found


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of an expression such as `np.load`; empty where it has none."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def found_in(source: str) -> list[str]:
    """What a program does that it must not: line and name."""
    tree = ast.parse(source)
    names = imported(tree)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found = set()
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [name.name for name in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found |= {(line, module) for module in modules if module.partition(".")[0] in PICKLES}
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node, names) in REFUSED:
            found.add((line, dotted(node, names)))
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in RUN_TEXT:
                found.add((line, node.func.id))
            if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS - own:
                found.add((line, f".{node.func.attr}"))
            for argument in node.keywords:
                if argument.arg in ONLY_AS and not (
                    isinstance(argument.value, ast.Constant) and argument.value.value is ONLY_AS[argument.arg]
                ):
                    found.add((line, argument.arg))
    return [f"{line}: {name}" for line, name in sorted(found)]


def test_no_program_of_ours_runs_what_it_reads() -> None:
    assert len(SOURCES) > 200
    found = {path.relative_to(REPOSITORY).as_posix(): found_in(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert [line.partition(": ")[2] for line in found.pop(BETWEEN_OWN_PROCESSES)] == ["pickle"]
    assert [line.partition(": ")[2] for line in found.pop(FOREIGN_WEIGHTS)] == ["torch.save"]
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_only_bytes_that_our_own_processes_send_are_unpickled() -> None:
    tree = ast.parse((REPOSITORY / BETWEEN_OWN_PROCESSES).read_text(encoding="utf-8"))
    used = {name for node in ast.walk(tree) if (name := dotted(node, {"pickle": "pickle"})).startswith("pickle.")}
    assert used == {"pickle.dumps", "pickle.loads"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import pickle", "pickle"),
        ("from pickle import loads", "pickle"),
        ("def f():\n    import joblib.memory", "joblib.memory"),
        ("import torch\ntorch.load('a')", "torch.load"),
        ("import torch as t\nt.load('a', weights_only=True)", "torch.load"),
        ("from torch import load as read\nread('a')", "torch.load"),
        ("import numpy as np\nnp.load('a', allow_pickle=True)", "allow_pickle"),
        ("import numpy as np\nnp.load('a', allow_pickle=flag)", "allow_pickle"),
        ("import yaml\nyaml.load(text, Loader=yaml.SafeLoader)", "yaml.load"),
        ("from yaml import UnsafeLoader\nclass A(UnsafeLoader): pass", "yaml.UnsafeLoader"),
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "shell"),
        ("import os\nos.system('ls')", "os.system"),
        ("AutoModel.from_pretrained(name, trust_remote_code=True)", "trust_remote_code"),
        ("accelerator.load_state(folder)", ".load_state"),
    ],
)
def test_the_scan_finds_each_way(source: str, name: str) -> None:
    assert any(line.endswith(f": {name}") for line in found_in(source))


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.load(file)",
        "import numpy as np\nnp.load('a', allow_pickle=False)",
        "model.eval()",
        "import re\nre.compile('a')",
        "import subprocess\nsubprocess.run(['ls'])",
    ],
)
def test_the_scan_lets_the_harmless_pass(source: str) -> None:
    assert found_in(source) == []
