import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop.errors import InvalidSetting
from fspop.mutators import rank, unranked


def test_the_best_come_first_and_ties_go_to_the_lowest_member():
    scores = {3: 1.0, 0: 2.0, 2: 2.0, 1: 0.0}
    assert rank(scores, "max") == [0, 2, 3, 1]
    assert rank(scores, "min") == [1, 3, 0, 2]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_not_finite_is_never_ranked(mode):
    scores = {0: math.nan, 1: None, 2: math.inf, 3: -math.inf, 4: 0.0}
    assert rank(scores, mode) == [4]
    assert unranked(scores) == [0, 1, 2, 3]


def test_nobody_to_rank_is_an_empty_answer():
    assert rank({0: None, 1: math.nan}, "min") == []


def test_an_unknown_mode_is_refused():
    with pytest.raises(InvalidSetting, match="maximum"):
        rank({}, "maximum")


@given(
    st.dictionaries(st.integers(0, 50), st.none() | st.floats()), st.sampled_from(["min", "max"])
)
def test_every_member_is_ranked_or_unranked_whatever_the_order_of_the_scores(scores, mode):
    order = rank(scores, mode)
    assert sorted([*order, *unranked(scores)]) == sorted(scores)
    assert order == rank(dict(sorted(scores.items())), mode)
