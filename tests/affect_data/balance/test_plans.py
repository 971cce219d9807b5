import balance_references as by_row
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.balance import PLANS, make_plan
from affect_data.balance.labels import PlanLabels
from affect_data.balance.plans import EmptyPoolError
from affect_data.errors import DataError, RecipeError, UnknownNameError, UsageError
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, EXPRESSIONS

DATABASES = ("affectnet", "affwild2", "disfa")
UNITS = (1, 2, 4, 6, 12, 15, 20, 25)
BY_LABELS = sorted(set(PLANS) - {"learned_weights"})


def plan_labels(rows=600, seed=0, databases=DATABASES, au=True, expression=True, va=True):
    """Random labels: the first database has expressions and VA, the second all three in parts, the third action units."""
    rng = np.random.default_rng(seed)
    database = rng.integers(0, len(databases), rows).astype(np.int16)
    units = np.full((rows, len(ACTION_UNITS)), -1, np.int8)
    if au:
        coded = database > 0
        for unit, share in zip(UNITS, (0.2, 0.05, 0.3, 0.2, 0.4, 0.04, 0.03, 0.5), strict=True):
            units[coded, ACTION_UNIT_SLOTS[unit]] = rng.random(coded.sum()) < share
        units[coded & (rng.random(rows) < 0.1), ACTION_UNIT_SLOTS[1]] = -1
    expressed = (database < 2) & (rng.random(rows) < 0.8) & expression
    placed = (database < 2) & (rng.random(rows) < 0.7) & va
    valence, arousal = (np.where(placed, rng.uniform(-1, 1, rows), np.nan).astype(np.float32) for _ in range(2))
    classes = np.where(expressed, rng.integers(0, 8, rows), -1).astype(np.int8)
    return PlanLabels(databases, database, units, classes, valence, arousal)


def permuted(labels, order):
    columns = ("database", "au", "expression", "valence", "arousal")
    return PlanLabels(labels.databases, *(getattr(labels, column)[order] for column in columns))


def weights_of(name, labels, seed=0, **options):
    return {pool.column: pool for pool in make_plan(name, options).weigh(labels, seed)}


@given(st.sampled_from(BY_LABELS), st.integers(0, 50), st.integers(40, 300))
def test_weights_are_not_negative_and_zero_outside_their_pool(name, seed, rows):
    labels = plan_labels(rows, seed)
    has = {"au": (labels.au >= 0).any(axis=1), "expression": labels.expression >= 0, "va": labels.has_va}
    for column, pool in weights_of(name, labels).items():
        assert pool.weights.shape == (rows,)
        assert np.isfinite(pool.weights).all()
        assert (pool.weights >= 0).all()
        assert pool.weights.any()
        assert not pool.weights[~pool.pool].any()
        assert not pool.weights[~has.get(column, np.ones(rows, bool))].any()


@given(
    st.sampled_from(["deng2020_expression", "deng2020_va", "vu2021_joint", "database_temperature"]), st.integers(0, 50)
)
def test_weights_by_frequency_move_with_the_rows(name, seed):
    labels = plan_labels(120, seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    options = {"thin": {}} if name.startswith("deng") else {}
    before, after = weights_of(name, labels, **options), weights_of(name, permuted(labels, order), **options)
    for column, pool in before.items():
        assert after[column].weights == pytest.approx(pool.weights[order])


def test_expressions_are_thinned_in_aff_wild2_alone_and_then_equally_likely():
    labels = plan_labels()
    pool = weights_of("deng2020_expression", labels)["expression"]
    seven = labels.expression >= 0
    seven &= labels.expression < 7
    assert np.array_equal(pool.pool, seven)
    wild = np.flatnonzero(seven & (labels.database == 1))
    kept = wild[by_row.thinned_rows(labels.expression[wild].tolist(), {0: 10, 4: 2, 5: 2})]
    assert np.array_equal(np.flatnonzero(pool.weights[wild]), np.searchsorted(wild, kept))
    assert (pool.weights[seven & (labels.database != 1)] > 0).all()
    totals = np.bincount(labels.expression[seven], pool.weights[seven])
    assert totals == pytest.approx(np.ones(7))


def test_contempt_is_balanced_where_the_classes_hold_it():
    labels = plan_labels()
    assert not weights_of("deng2020_expression", labels)["expression"].weights[labels.expression == 7].any()
    assert (
        weights_of("deng2020_expression", labels, expressions="basic_8")["expression"]
        .weights[labels.expression == 7]
        .all()
    )
    two = weights_of("deng2020_expression", labels, expressions=["happy", "sadness"], thin={})["expression"]
    assert set(np.unique(labels.expression[two.weights > 0]).tolist()) == {
        EXPRESSIONS.index("happiness"),
        EXPRESSIONS.index("sadness"),
    }


def test_bins_of_valence_and_arousal_are_equally_likely_after_every_fifth_row_of_aff_wild2():
    labels = plan_labels()
    pool = weights_of("deng2020_va", labels)["va"]
    wild = np.flatnonzero(labels.has_va & (labels.database == 1))
    assert np.array_equal(np.flatnonzero(pool.weights[wild]), np.arange(0, len(wild), 5))
    kept = np.flatnonzero(pool.weights)
    expected = by_row.plane_weights(
        labels.valence[kept].astype(float).tolist(), labels.arousal[kept].astype(float).tolist()
    )
    assert pool.weights[kept] == pytest.approx(np.array(expected))


def test_joint_weights_are_those_of_the_formula_over_rows_with_both():
    labels = plan_labels()
    pool = weights_of("vu2021_joint", labels)["weight"]
    both = np.flatnonzero((labels.expression >= 0) & (labels.expression < 7) & labels.has_va)
    assert np.array_equal(np.flatnonzero(pool.weights), both)
    numbers = (
        labels.expression[both].tolist(),
        *(axis[both].astype(float).tolist() for axis in (labels.valence, labels.arousal)),
    )
    assert pool.weights[both] == pytest.approx(np.array(by_row.joint_weights(*numbers)))
    assert pool.weights.max() == 1


def test_databases_have_the_shares_that_the_temperature_gives_in_every_pool():
    labels = plan_labels()
    for column, pool in weights_of("database_temperature", labels, temperature=0.0).items():
        shares = np.bincount(labels.database, pool.weights)
        assert shares[shares > 0] == pytest.approx(np.ones(np.count_nonzero(shares))), column


def test_paper_mode_weighs_a_cloned_row_by_its_clones_and_takes_complete_rows_alone():
    labels = plan_labels()
    pool = weights_of("deng2020_au", labels, seed=3, mode="paper")["au"]
    complete = (labels.units(UNITS) >= 0).all(axis=1)
    assert np.array_equal(pool.pool, complete)
    picks = by_row.published_picks((labels.units(UNITS)[complete] == 1).astype(int), 2.0, 50, 32, 3)
    times = np.bincount(picks, minlength=complete.sum())
    assert pool.weights[complete].tolist() == np.where(times > 0, times, 1).tolist()


def test_corrected_mode_keeps_partly_annotated_rows_and_counts_the_row_itself():
    labels = plan_labels()
    pool = weights_of("deng2020_au", labels)["au"]
    assert np.array_equal(pool.pool, labels.database > 0)
    assert pool.weights[pool.pool].min() == 1
    counts = pool.weights @ (labels.units(UNITS) == 1)
    assert counts.max() / counts.min() <= 2


def test_paper_mode_refuses_to_lose_a_database_where_an_action_unit_is_not_coded():
    labels = plan_labels()
    wild = labels.database == 1
    labels.au[wild, ACTION_UNIT_SLOTS[20]] = -1
    with pytest.raises(
        DataError,
        match=rf"no row of affwild2: {wild.sum()} rows, AU20 not coded\. "
        r"Use --option action_units=1,2,4,6,12,15,25 \(coded in all\) or --option mode=corrected; "
        r"or state that they are left out: --option databases=disfa$",
    ):
        weights_of("deng2020", labels, mode="paper")
    shared = weights_of("deng2020_au", labels, mode="paper", action_units=(1, 2, 4, 6, 12, 15, 25))["au"]
    assert shared.weights[wild].any()
    stated = weights_of("deng2020_au", labels, mode="paper", databases=("disfa",))["au"]
    assert not stated.weights[wild].any()
    assert weights_of("deng2020_au", labels)["au"].weights[wild].all()


def test_an_action_unit_that_no_row_shows_is_left_out_in_corrected_mode_and_refused_in_paper_mode():
    labels = plan_labels()
    labels.au[:, ACTION_UNIT_SLOTS[20]] = np.minimum(labels.au[:, ACTION_UNIT_SLOTS[20]], 0)
    assert "no row shows AU20: left out" in weights_of("deng2020_au", labels)["au"].notes
    with pytest.raises(
        DataError,
        match=r"that none of the fully annotated rows shows: 20\. Leave them out \(--option action_units=1,2,4,6,12,15,25\)",
    ):
        weights_of("deng2020_au", labels, mode="paper")


def test_ml_ros_takes_all_annotated_action_units_where_none_is_named():
    pool = weights_of("ml_ros", plan_labels())["au"]
    assert pool.units == UNITS
    assert pool.weights.sum() > pool.pool.sum()


def test_the_plan_of_a_paper_leaves_out_tasks_that_the_dataset_lacks():
    assert set(weights_of("deng2020", plan_labels())) == {"au", "expression", "va"}
    assert set(weights_of("deng2020", plan_labels(au=False, va=False))) == {"expression"}
    with pytest.raises(EmptyPoolError, match="nothing to balance"):
        weights_of("deng2020", plan_labels(au=False, va=False, expression=False))


def test_only_rows_of_the_named_databases_take_part():
    labels = plan_labels()
    pool = weights_of("deng2020_va", labels, databases=["affectnet"])["va"]
    assert set(np.unique(labels.database[pool.pool]).tolist()) == {0}


def test_one_database_and_one_class_are_weighed_equally_and_said_so():
    labels = plan_labels(databases=("affectnet",))
    assert weights_of("database_temperature", labels)["va"].notes == [
        "all rows are from one database: they weigh the same"
    ]
    labels.expression[labels.expression >= 0] = 3
    pool = weights_of("deng2020_expression", labels)["expression"]
    assert pool.notes == ["all rows are fear: they weigh the same"]
    assert len(np.unique(pool.weights[pool.pool])) == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("deng2020_au", {"databases": ["affectnet"]}, "no row with one of the action units 1, 2, 4, 6, 12, 15, 20, 25"),
        ("ml_ros", {"databases": ["affectnet"]}, r"no row with one of the action units \(none is annotated\)"),
        ("deng2020_expression", {"databases": ["disfa"]}, "no row with one of the expressions neutral, anger"),
        ("deng2020_va", {"databases": ["disfa"]}, "no row with valence and arousal"),
        ("vu2021_joint", {"databases": ["disfa"]}, "no row with both an expression and valence and arousal"),
    ],
)
def test_a_plan_without_rows_says_what_is_missing(name, options, message):
    with pytest.raises(EmptyPoolError, match="the train split has " + message + ".*`affect-data stats` shows"):
        weights_of(name, plan_labels(), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"databases": ["disva"]},
            UnknownNameError,
            "unknown database of the dataset 'disva'; did you mean 'disfa'\\? known: affectnet, affwild2, disfa",
        ),
        ({"expressions": "nine"}, UnknownNameError, "unknown expression set 'nine'"),
        ({"expressions": ["hapy"]}, UnknownNameError, "unknown expression 'hapy'"),
        ({"thin": {"expw": {"neutral": 2}}}, UnknownNameError, "unknown database of the dataset 'expw'"),
        (
            {"thin": {"affwild2": {"neutral": 0}}},
            RecipeError,
            "thin.affwild2.neutral: Input should be greater than or equal to 1, found 0",
        ),
        (
            {"repeat_kap": 2},
            RecipeError,
            r"plan 'deng2020_expression': 1 mistake\(s\):\n  repeat_kap: no option of plan 'deng2020_expression'; did you mean 'repeat_cap'\? "
            "known: databases, expressions, thin, repeat_cap$",
        ),
    ],
)
def test_options_that_mean_nothing_are_refused(options, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        weights_of("deng2020_expression", plan_labels(), **options)


def test_unknown_plans_and_action_units_are_refused():
    with pytest.raises(
        UnknownNameError,
        match=r"unknown balancing plan 'deng'; did you mean 'deng2020'\? known: database_temperature, deng2020, deng2020_au",
    ):
        make_plan("deng")
    with pytest.raises(UnknownNameError, match="unknown action unit '3'"):
        weights_of("ml_ros", plan_labels(), action_units=[3])
    with pytest.raises(UsageError, match="mode `paper` knows no repeat_cap"):
        weights_of("deng2020_au", plan_labels(), mode="paper", repeat_cap=3)
