import numpy as np
import pyarrow as pa
import pytest

from affect_data.dataset.label_chunks import LabelChunk
from affect_data.statistics.agreement import (
    AgreementCounter,
    annotators_by_database,
    entropy_bits,
    with_none,
)
from affect_data.vocabulary import EXPRESSIONS

# Fleiss (1971) as retold in textbooks and on Wikipedia: 14 annotators, 10 subjects, 5 categories; kappa 0.210.
WORKED_EXAMPLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def votes_chunk(shares, databases):
    table = pa.table(
        {
            "database": pa.array(databases, pa.int64()),
            "expression_votes": pa.FixedSizeListArray.from_arrays(
                pa.array(np.ravel(shares), pa.float32()), len(EXPRESSIONS)
            ),
        }
    )
    return LabelChunk("train", ("affectnet", "ferplus"), table)


def shares(**by_name):
    return [by_name.get(name, 0.0) for name in EXPRESSIONS]


def kappa(votes):
    """Of votes for the first expressions, by the same number of annotators on every row."""
    annotators = sum(votes[0])
    counter = AgreementCounter({"ferplus": annotators})
    rows = [np.divide([*row, *[0] * (len(EXPRESSIONS) - len(row))], annotators) for row in votes]
    counter.add(votes_chunk(rows, [1] * len(rows)))
    return counter.table()["fleiss_kappa"].item()


def test_kappa_of_the_worked_example_is_the_published_one():
    assert kappa(WORKED_EXAMPLE) == pytest.approx(0.210, abs=5e-4)


def test_kappa_is_one_where_all_agree_and_undefined_where_there_is_one_category():
    assert kappa([[5, 0], [0, 5]]) == 1.0
    assert kappa([[5, 0], [5, 0]]) is None


def test_entropy_is_in_bits():
    assert entropy_bits(np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])).tolist() == [0, 1, 2]


def test_votes_for_no_expression_are_a_category_of_their_own():
    assert with_none(np.array([[0.5, 0.2]], np.float32)) == pytest.approx(np.array([[0.5, 0.2, 0.3]]))


def test_the_table_has_a_line_for_each_database_with_votes():
    nothing = [np.nan] * len(EXPRESSIONS)
    rows = [shares(happiness=1.0), shares(happiness=0.5, neutral=0.5), shares(fear=0.4, anger=0.2), nothing]
    counter = AgreementCounter({"ferplus": 10})
    counter.add(votes_chunk(rows, [1, 1, 1, 0]))
    (line,) = counter.table().to_dicts()
    assert (line["database"], line["split"], line["rows"], line["annotators"], line["kappa_rows"]) == (
        "ferplus",
        "train",
        3,
        10,
        3,
    )
    assert line["top_share"] == pytest.approx((1 + 0.5 + 0.4) / 3)
    assert line["unanimous"] == pytest.approx(1 / 3)
    # Bits: 0, 1, and shares .4 .2 .4: -.8 log2 .4 - .2 log2 .2 = 1.5219.
    assert line["entropy_bits"] == pytest.approx((0 + 1 + 1.5219281) / 3)
    # Agreeing pairs of 90: 90, 5*4*2 = 40, 4*3 + 2*1 + 4*3 = 26. Totals of 30: 15, 5, 4, 2, 4.
    by_chance = (15**2 + 5**2 + 4**2 + 2**2 + 4**2) / 900
    assert line["fleiss_kappa"] == pytest.approx(((90 + 40 + 26) / 270 - by_chance) / (1 - by_chance))


def test_rows_whose_shares_do_not_fit_the_number_of_annotators_are_left_out_of_kappa():
    rows = [shares(happiness=1.0), shares(neutral=1.0), shares(happiness=4 / 9, neutral=5 / 9)]
    counter = AgreementCounter({"ferplus": 10})
    counter.add(votes_chunk(rows, [1, 1, 1]))
    (line,) = counter.table().to_dicts()
    assert (line["rows"], line["kappa_rows"], line["fleiss_kappa"]) == (3, 2, 1.0)


def test_databases_say_how_many_people_voted():
    assert annotators_by_database()["ferplus"] == 10
    assert "affectnet" not in annotators_by_database()
    counter = AgreementCounter()
    counter.add(votes_chunk([shares(happiness=1.0), shares(neutral=1.0)], [1, 1]))
    assert counter.table()["annotators"].to_list() == [10]


def test_without_a_known_number_of_annotators_there_is_no_kappa():
    counter = AgreementCounter({})
    counter.add(votes_chunk([shares(happiness=1.0)], [1]))
    (line,) = counter.table().to_dicts()
    assert (line["annotators"], line["kappa_rows"], line["fleiss_kappa"]) == (None, None, None)
