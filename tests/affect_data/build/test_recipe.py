"""Data recipes: what validates, what does not and how it is said, and where folders come from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.build.recipe import parse_roots, read_recipe, recipe_from, refuse_unused, roots_under
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.registry import DATABASES, canonical, plain
from affect_data.errors import DatabaseNotFoundError, RecipeError, UsageError


def written(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(loaded: object) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        recipe_from(loaded, "data.yaml")
    return caught.value.mistakes


def test_a_recipe_gives_each_database_its_own_options(tmp_path: Path) -> None:
    recipe = read_recipe(
        written(
            tmp_path,
            "databases:\n  disfa: {action_unit_threshold: 3}\n  expw:\nsplits: {policy: official}\nworkers: 2\n",
        )
    )
    assert isinstance(recipe.databases["disfa"], Disfa.Options)
    assert recipe.databases["disfa"].action_unit_threshold == 3
    assert recipe.splits.policy == "official"
    assert recipe.workers == 2


def test_readers_come_in_alphabetical_order_with_their_options() -> None:
    readers = recipe_from({"databases": {"expw": {}, "disfa": {"action_unit_threshold": 1}}}, "x").readers()
    assert list(readers) == ["disfa", "expw"]
    assert readers["disfa"].options.action_unit_threshold == 1


def test_the_default_policy_is_strict() -> None:
    assert recipe_from({"databases": {"expw": {}}}, "x").splits.policy == "strict"


# ---------------------------------------------------------------- what does not validate


def test_all_mistakes_are_listed_at_once_with_their_place() -> None:
    found = mistakes(
        {
            "databases": {
                "expv": {},
                "disfa": {"action_unit_threshold": 9, "treshold": 2},
                "affwild2": {"release": "abaw99"},
            },
            "splits": {"policy": "lenient"},
            "workers": 0,
            "shards": 5,
        }
    )
    assert len(found) == 7, found
    known = ", ".join(sorted(DATABASES))
    assert (
        found[0]
        == f"databases.expv: unknown database; did you mean 'expw'? known: {known}. Own data has `reader: table`"
    )
    for beginning in (
        "databases.disfa.action_unit_threshold: found 9; expected less than or equal to 5",
        "databases.disfa.treshold: unknown key; known: release, root, exclude, incomplete, holdout, action_unit_threshold",
        "databases.affwild2.release: unknown release 'abaw99'; did you mean 'abaw",
        "splits.policy: found 'lenient'; expected 'strict', 'follow_task' or 'official'",
        "workers: found 0; expected greater than or equal to 1",
        "shards: unknown key; did you mean 'shard_rows'? known: databases, splits, workers, engine, shard_rows, decisions",
    ):
        assert any(mistake.startswith(beginning) for mistake in found), beginning


def test_every_mistake_in_a_file_has_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
databases:
  expv: {}
  disfa:
    action_unit_threshold: 9
    treshold: 2
  affwild2: {release: abaw99}
  bp4d: {keep_occluded: yes, release: 1}
splits: {policy: lenient}
workers: "2"
shards: 5
workers: 2
decisions: [none.jsonl]
""",
    )
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    found = [mistake.removeprefix(f"{path}:") for mistake in caught.value.mistakes]
    assert [mistake.split(": ", 2)[:2] for mistake in found] == [
        ["11", "workers"],
        ["2", "databases.expv"],
        ["4", "databases.disfa.action_unit_threshold"],
        ["5", "databases.disfa.treshold"],
        ["6", "databases.affwild2.release"],
        ["7", "databases.bp4d.release"],
        ["7", "databases.bp4d.keep_occluded"],
        ["8", "splits.policy"],
        ["10", "shards"],
        ["12", "decisions[0]"],
    ]
    assert found[0] == "11: workers: written twice, first in line 9; remove one"
    assert found[5] == "7: databases.bp4d.release: found 1; expected no value; remove it"
    assert found[6] == "7: databases.bp4d.keep_occluded: found 'yes'; expected a valid boolean"
    assert found[9] == f"12: decisions[0]: the file '{tmp_path / 'none.jsonl'}' does not exist"


@pytest.mark.parametrize("text", ["[]", "databases", "3"])
def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match=r"data\.yaml:1: found .*; expected `key: value` lines"):
        read_recipe(written(tmp_path, text))


@pytest.mark.parametrize("loaded", [None, [], "databases", 3])
def test_values_that_are_no_mapping_are_refused(loaded: object) -> None:
    assert mistakes(loaded) == (f"found {loaded!r}; expected `key: value` entries",)


def test_an_empty_file_is_refused_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"databases: name at least one, for example `databases: \{expw: \{\}\}`"):
        read_recipe(written(tmp_path, "# nothing yet\n"))


def test_a_count_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, "databases: {disfa: {action_unit_threshold: 3e0}}\nshard_rows: 1e3\n"))
    assert (recipe.shard_rows, type(recipe.shard_rows)) == (1000, int)
    assert recipe == recipe_from({"databases": {"disfa": {"action_unit_threshold": 3}}, "shard_rows": 1000})


def test_a_training_recipe_is_named_as_one(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset: merged\noutput: run\ntasks: {action_units: [1]}\nmodel: {backbone: x}\n")
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert caught.value.mistakes == (
        f"{path}:3: tasks: found the key of a training recipe, which `affect-train validate` reads; expected a data recipe",
    )


@pytest.mark.parametrize("loaded", [{}, {"databases": None}, {"databases": {}}, {"databases": ["expw"]}])
def test_a_recipe_without_a_database_is_refused_with_an_example(loaded: object) -> None:
    assert mistakes(loaded) == ("databases: name at least one, for example `databases: {expw: {}}`",)


@pytest.mark.parametrize("options", [False, 0, "", []])
def test_a_database_that_is_switched_off_by_a_value_is_a_mistake_and_not_silently_merged(options: object) -> None:
    assert mistakes({"databases": {"expw": options}}) == (
        f"databases.expw: found {options!r}; expected `key: value` entries",
    )


@pytest.mark.parametrize("holdout", [-0.1, 1.0, "many"])
def test_a_holdout_is_a_share(holdout: object) -> None:
    assert mistakes({"databases": {"expw": {"holdout": holdout}}})[0].startswith(
        f"databases.expw.holdout: found {holdout!r}; expected"
    )


def test_yaml_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "databases:\n  expw: {}\n  disfa: {release: [}\n")
    with pytest.raises(RecipeError, match=r"data\.yaml:3: not readable as YAML: .* \(column \d+\)"):
        read_recipe(path)


def test_bytes_that_are_no_text_are_not_readable_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_bytes(b"databases: \xff\xfe")
    with pytest.raises(RecipeError, match=r"not readable as YAML: .*utf-8"):
        read_recipe(path)


def test_yaml_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    path = written(tmp_path, f"databases: !!python/object/apply:os.mkdir ['{target}']\n")
    with pytest.raises(RecipeError, match="could not determine a constructor"):
        read_recipe(path)
    assert not target.exists()


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "databases:\n  disfa: {action_unit_threshold: 1}\n  disfa: {}\n")
    with pytest.raises(
        RecipeError, match=r"data\.yaml:3: databases\.disfa: written twice, first in line 2; remove one"
    ):
        read_recipe(path)


def test_a_recipe_that_does_not_exist_is_the_fault_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"data recipe '.*none\.yaml' does not exist; recipes of the project are under recipes/"
    ):
        read_recipe(tmp_path / "none.yaml")


def test_a_folder_in_place_of_a_recipe_is_the_fault_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data recipe '.*' cannot be read: .*directory"):
        read_recipe(tmp_path)


# ---------------------------------------------------------------- other names


@pytest.mark.parametrize(
    ("written_as", "name"),
    [
        ("rafdb", "raf_db"), ("RAF-DB", "raf_db"), ("Aff-Wild2", "affwild2"), ("aff_wild2", "affwild2"), ("ABAW", "affwild2"),
        ("DISFA", "disfa"), ("FER+", "ferplus"), ("ferplus", "ferplus"), ("FER2013+", "ferplus"), ("AFEW-VA", "afew_va"),
        ("BP4D", "bp4d"), ("BP4D-Spontaneous", "bp4d"), ("UNBC-McMaster", "unbc"), ("AffectNet", "affectnet"),
        ("Expression in-the-Wild", "expw"), ("EmotioNet", "emotionet"),
    ],
)  # fmt: skip
def test_a_database_is_understood_however_it_is_spelt(written_as: str, name: str) -> None:
    recipe = recipe_from({"databases": {written_as: {"holdout": 0.1}}})
    assert list(recipe.databases) == [name]
    assert recipe.digest() == recipe_from({"databases": {name: {"holdout": 0.1}}}).digest()


def test_no_name_means_two_databases() -> None:
    names = [(n, key) for key, d in DATABASES.items() for n in {plain(x) for x in (key, d.title, *d.aliases)}]
    assert len(dict(names)) == len(names)
    assert canonical("BP4D+") == "bp4d_plus", "other people have the names of its people"


@pytest.mark.parametrize(
    ("database", "written_as", "release"),
    [
        ("affwild2", "ABAW3", "abaw3"), ("affwild2", "abaw-6", "abaw6"), ("affwild2", "ABAW4", "abaw4_mtl"),
        ("affwild2", "ABAW3 MTL", "abaw3_mtl"), ("affwild2", "6th_ABAW", "abaw6"), ("affectnet", "CSV", "csv"),
    ],
)  # fmt: skip
def test_a_release_is_understood_however_it_is_spelt(database: str, written_as: str, release: str) -> None:
    recipe = recipe_from({"databases": {database: {"release": written_as}}})
    assert recipe.databases[database].release == release
    assert recipe.content() == recipe_from({"databases": {database: {"release": release}}}).content()


def test_two_names_of_one_database_are_a_mistake_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "databases:\n  raf_db: {}\n  rafdb: {}\n")
    with pytest.raises(RecipeError, match=r"data\.yaml:3: databases\.rafdb: the same database as 'raf_db'; remove one"):
        read_recipe(path)


# ---------------------------------------------------------------- what decides the bytes


def test_roots_and_workers_are_no_content() -> None:
    here = recipe_from({"databases": {"expw": {"root": "/data/expw"}}, "workers": 1}, "x")
    there = recipe_from({"databases": {"expw": {"root": "/mnt/expw"}}, "workers": 4}, "y")
    assert here.digest() == there.digest()
    assert "/data" not in str(here.content())


def test_the_order_of_the_databases_is_no_content() -> None:
    one = recipe_from({"databases": {"expw": {}, "disfa": {}}}, "x")
    other = recipe_from({"databases": {"disfa": {}, "expw": {}}}, "x")
    assert one.digest() == other.digest()


@pytest.mark.parametrize(
    "other",
    [
        {"databases": {"expw": {"minimum_confidence": 1.0}}},
        {"databases": {"expw": {"exclude": ["label/label.lst:1"]}}},
        {"databases": {"expw": {"holdout": 0.2}}},
        {"databases": {"expw": {}, "disfa": {}}},
        {"databases": {"expw": {}}, "splits": {"policy": "official"}},
        {"databases": {"expw": {}}, "splits": {"seed": 1}},
        {"databases": {"expw": {}}, "shard_rows": 10},
    ],
)
def test_everything_else_is_content(other: dict[str, object]) -> None:
    assert recipe_from(other, "x").digest() != recipe_from({"databases": {"expw": {}}}, "x").digest()


# ---------------------------------------------------------------- roots


def test_the_command_line_comes_before_the_environment_and_that_before_the_recipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = recipe_from({"databases": {"expw": {"root": "/recipe"}}}, "x")
    assert recipe.root_of("expw", {}) == Path("/recipe")
    monkeypatch.setenv("AFFECT_ROOT_EXPW", "/environment")
    assert recipe.root_of("expw", {}) == Path("/environment")
    assert recipe.root_of("expw", {"expw": Path("/line")}) == Path("/line")


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECT_ROOT_EXPW", "~/expw")
    assert recipe_from({"databases": {"expw": {}}}, "x").root_of("expw", {}) == Path.home() / "expw"


def test_a_database_without_a_folder_says_how_to_name_one_and_where_its_layout_stands() -> None:
    with pytest.raises(
        DatabaseNotFoundError, match=r"expw: database not found \(no root was given\): no folder is named for it"
    ) as refused:
        recipe_from({"databases": {"expw": {}}}, "x").root_of("expw", {})
    assert "--root expw=PATH, by the environment variable AFFECT_ROOT_EXPW, or by `root:`" in str(refused.value)
    assert str(refused.value).endswith("`affect-data databases expw`.")


def test_roots_are_pairs_of_name_and_path() -> None:
    assert parse_roots(["expw=/a=b", "disfa=c"]) == {"expw": Path("/a=b"), "disfa": Path("c")}


@pytest.mark.parametrize("argument", ["expw", "expw=", "/data/expw"])
def test_a_root_of_another_form_is_refused_with_an_example(argument: str) -> None:
    with pytest.raises(UsageError, match=r"--root takes name=PATH, for example --root disfa=/data/disfa; found '"):
        parse_roots([argument])


def test_roots_and_variables_take_other_names_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_roots(["RAF-DB=/a", "Aff-Wild2=b"]) == {"raf_db": Path("/a"), "affwild2": Path("b")}
    monkeypatch.setenv("AFFECT_ROOT_RAFDB", "/alias")
    recipe = recipe_from({"databases": {"raf_db": {}}}, "x")
    assert recipe.root_of("raf_db", {}) == Path("/alias")
    monkeypatch.setenv("AFFECT_ROOT_RAF_DB", "/exact")
    assert recipe.root_of("raf_db", {}) == Path("/exact")


def test_two_roots_of_one_database_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--root rafdb=/b: 'raf_db' has a root already, '/a'; leave one out"):
        parse_roots(["raf_db=/a", "rafdb=/b"])


def test_a_root_that_the_recipe_does_not_use_is_refused() -> None:
    recipe = recipe_from({"databases": {"expw": {}}}, "x")
    with pytest.raises(
        UsageError,
        match=r"^--root disfa=/d: not used, the recipe merges expw\. Leave it out, or add `disfa: \{\}` under",
    ):
        refuse_unused(recipe, {"disfa": Path("/d"), "expw": Path("/e")})
    refuse_unused(recipe, {"expw": Path("/e")})


def test_a_folder_of_roots_is_searched_for_every_spelling(tmp_path: Path) -> None:
    for name in ("DISFA", "RAF-DB", "expw", "ExpW_old", "notes"):
        (tmp_path / name).mkdir()
    found = roots_under(tmp_path)
    assert found == {"disfa": tmp_path / "DISFA", "raf_db": tmp_path / "RAF-DB", "expw": tmp_path / "expw"}
    (tmp_path / "rafdb").mkdir()
    with pytest.raises(
        UsageError, match=r"'RAF-DB' and 'rafdb' are both named like raf_db; say which by --root raf_db="
    ):
        roots_under(tmp_path)
    (tmp_path / "raf_db").mkdir()
    assert roots_under(tmp_path)["raf_db"] == tmp_path / "raf_db"


def test_a_root_of_an_unknown_database_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"--root expv=x: unknown database 'expv'; did you mean 'expw'\? known: .*afew_va, .*ferplus"
    ):
        parse_roots(["expv=x"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["databases", "expw", "disfa", "splits", "workers", "release", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_whatever_stands_in_the_file_it_validates_or_is_refused_as_a_recipe(loaded: object) -> None:
    try:
        recipe = recipe_from(loaded, "data.yaml")
    except RecipeError as error:
        listed = error.mistakes
    else:
        listed = tuple(recipe.databases)
    assert listed
