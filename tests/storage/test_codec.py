"""Records as bytes: readable, checked, and of a known format."""

import json
from pathlib import Path

import pytest

from fspop.errors import Damaged, UnknownFormat
from fspop.records import FORMAT, Born, Checkpoint, Created, Manifest, Record, Reported, State
from fspop.storage import codec
from fspop.storage.fold import fold

PATH = Path("controller/log/000000000000.json")
OPS = [
    Created(2, "max"),
    Born(0, 1, {"lr": 0.1, "layers": [1, 2, True, None, "ü"]}),
    Reported("m000.g0001", 10, 1e-300, {"loss": 1.5}, "", Checkpoint("m000.g0001", 10, "a/b")),
]
RECORD = Record(FORMAT, 0, "ab12.1", "", 1.5, "w", OPS)


def state():
    return fold(State(), RECORD, "00" * 8)


def test_a_record_and_a_state_come_back_as_they_were():
    assert codec.decode(codec.encode(RECORD), Record, PATH) == RECORD
    assert codec.decode(codec.encode(state()), State, PATH) == state()


def test_the_bytes_are_one_line_of_json_with_a_checksum_last():
    raw = codec.encode(RECORD)
    assert raw.endswith(b"}\n") and raw.count(b"\n") == 1
    assert list(json.loads(raw))[-1] == "crc"


@pytest.mark.parametrize("kind", [Record, State])
@pytest.mark.parametrize("flip", [1, 128, 255])
def test_a_flip_at_any_byte_is_found(kind, flip):
    raw = codec.encode(RECORD if kind is Record else state())
    for position in range(len(raw)):
        broken = bytearray(raw)
        broken[position] ^= flip
        with pytest.raises((Damaged, UnknownFormat), match=r"000000000000\.json"):
            codec.decode(bytes(broken), kind, PATH)


def test_every_truncation_and_every_addition_is_found():
    raw = codec.encode(RECORD)
    for end in range(len(raw)):
        with pytest.raises(Damaged):
            codec.decode(raw[:end], Record, PATH)
    for more in (raw + b"\n", raw + raw, b" " + raw):
        with pytest.raises(Damaged):
            codec.decode(more, Record, PATH)


def test_two_exchanged_bytes_are_found():
    raw = codec.encode(RECORD)
    for position in range(len(raw) - 1):
        broken = bytearray(raw)
        broken[position], broken[position + 1] = raw[position + 1], raw[position]
        if broken != raw:
            with pytest.raises((Damaged, UnknownFormat)):
                codec.decode(bytes(broken), Record, PATH)


def resealed(text):
    """`text` with a checksum that fits, as another version would have written it."""
    return text[:-1] + codec._tail(text)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"format":2,"something":"else"}',
        resealed(b'{"format":2,"something":"else"}'),
        resealed(codec._encoder.encode(RECORD).replace(b'"format":1', b'"format":2')),
    ],
)
def test_another_format_asks_for_an_upgrade(raw):
    with pytest.raises(UnknownFormat, match=r"written in format 2.*upgrade fspop"):
        codec.decode(raw, Record, PATH)


def test_an_intact_file_of_another_kind_is_damage():
    with pytest.raises(Damaged, match="intact but not a manifest"):
        codec.decode(codec.encode(RECORD), Manifest, PATH)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"op":"created"', b'"op":"dreamed"'),
        (b'"op":"created"', b'"op":"created","dreamed":1'),
        (b'"step":10,"params"', b'"step":10,"dreamed":1,"params"'),
    ],
)
def test_what_only_a_newer_fspop_knows_asks_for_an_upgrade_and_is_not_skipped(old, new):
    raw = codec._encoder.encode(RECORD)
    assert old in raw
    with pytest.raises(UnknownFormat, match=r"dreamed.*upgrade fspop"):
        codec.decode(resealed(raw.replace(old, new)), Record, PATH)


def test_a_snapshot_of_a_newer_fspop_asks_for_an_upgrade():
    raw = codec._encoder.encode(state())
    for where in (b'{"format"', b'{"index"'):
        newer = raw.replace(where, where[:1] + b'"dreamed":1,' + where[1:], 1)
        with pytest.raises(UnknownFormat, match=r"dreamed.*upgrade fspop"):
            codec.decode(resealed(newer), State, PATH)
