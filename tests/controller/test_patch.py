"""The change between two states of a strategy."""

from hypothesis import given
from hypothesis import strategies as st

from fspop.controller.patch import difference
from fspop.records import State, encode_json
from fspop.storage.fold import apply

leaves = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
states = st.dictionaries(st.text("abc", max_size=2), trees, max_size=4)


@given(states, states)
def test_applying_the_difference_gives_the_new_state(old, new):
    change = difference(old, new)
    after = apply(State(mutator=old), [change] if change else [], 0.0).mutator
    assert after == new


@given(states)
def test_the_same_state_is_no_difference(state):
    assert difference(state, state) is None


def test_the_difference_of_a_large_state_is_small():
    old = {"members": {str(i): {"history": list(range(50))} for i in range(100)}}
    new = {"members": {**old["members"], "7": {"history": [1]}}}
    assert len(encode_json(difference(old, new))) < 100


def test_a_number_that_changes_its_type_is_a_difference():
    assert difference({"x": 1}, {"x": 1.0}).set == [(["x"], 1.0)]
    assert difference({"x": 1}, {"x": True}).set == [(["x"], True)]
