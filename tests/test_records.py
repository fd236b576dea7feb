"""Ids, plain data, and the structs that records and states are made of."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop import records
from fspop.errors import InvalidId, InvalidSetting
from fspop.records import (
    Checkpoint,
    Generation,
    Point,
    check_id,
    check_plain,
    encode_json,
    generation_id,
    parse_generation_id,
)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.integers(0, 99_999), st.integers(0, 999_999))
def test_a_generation_id_says_member_and_index(member, index):
    assert parse_generation_id(generation_id(member, index)) == (member, index)


def test_a_generation_id_is_readable_and_sorts():
    assert generation_id(3, 7) == "m003.g0007"
    assert generation_id(1000, 12345) == "m1000.g12345"


@pytest.mark.parametrize(
    "text",
    [
        "m3.g7", "m0003.g0007", "m003.g00007", "m003.g0007\n", " m003.g0007", "m003.g0007.t5", "",
        "m-01.g0001", "m\u0663\u0663\u0663.g\u0660\u0660\u0660\u0661",
        "m003.g" + "1" * 5000, "m" + "1" * 5000 + ".g0001",
        None, 7, ["m003.g0007"], b"m003.g0007",
    ],
)  # fmt: skip
def test_what_is_not_exactly_a_generation_id_is_none(text):
    assert parse_generation_id(text) is None


@pytest.mark.parametrize("good", ["0", "a", "gpu-7.rack_2", "A" * 64, "_x", "-x"])
def test_a_good_id_is_returned(good):
    assert check_id(good) == good


@pytest.mark.parametrize(
    "bad", ["", ".", "..", ".hidden", "a/b", "a b", "ü", "A" * 65, "a\n", "a\x00", None, 7]
)
def test_a_bad_id_is_refused_with_what_it_may_be(bad):
    with pytest.raises(InvalidId, match=r"worker: got .* 1 to 64 characters"):
        check_id(bad, "worker")


@given(plain)
def test_plain_data_reads_back_from_json_as_it_was(value):
    import msgspec

    checked = check_plain(value, "x")
    assert msgspec.json.decode(encode_json(checked)) == checked == value


def test_tuples_become_lists_and_nothing_is_shared():
    given_value = {"a": [1, (2, 3)]}
    checked = check_plain(given_value, "x")
    assert checked == {"a": [1, [2, 3]]}
    checked["a"].append(4)
    assert given_value == {"a": [1, (2, 3)]}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (math.nan, r"^h: got nan"),
        ({"a": [1, math.inf]}, r"^h\.a\[1\]: got inf"),
        (2**64, r"beyond 64 bits"),
        (-(2**63) - 1, r"beyond 64 bits"),
        ({1: 2}, r"the key 1; keys of plain data are strings"),
        ({"f": print}, r"^h\.f: got builtin_function_or_method"),
        ([{"s": {1, 2}}], r"^h\[0\]\.s: got set"),
        (b"x", r"got bytes"),
    ],
)
def test_what_is_no_plain_data_is_named_with_its_place(value, where):
    with pytest.raises(InvalidSetting, match=where):
        check_plain(value, "h")


def test_a_generation_starts_where_its_origin_ends():
    origin = Checkpoint("m001.g0002", 40, "p")
    child = Generation("m000.g0002", 0, 2, {}, origin)
    assert (child.start_step, child.parent) == (40, Point("m001.g0002", 40))
    assert child.restart == origin


def test_a_first_generation_starts_from_nothing():
    first = Generation("m000.g0001", 0, 1, {})
    assert (first.start_step, first.parent, first.restart) == (0, None, None)


def test_every_operation_is_part_of_the_union_and_of_the_fold():
    from fspop.storage.fold import _APPLY

    kinds = set(records.Op.__subclasses__())
    assert kinds == set(records.AnyOp.__args__) == set(_APPLY)
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)
