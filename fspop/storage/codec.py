"""Records, snapshots and manifests as bytes: one line of JSON whose last field is a CRC over the
rest.
"""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fspop.errors import Damaged, UnknownFormat
from fspop.records import FORMAT, Manifest, Record, State

T = TypeVar("T", Record, State, Manifest)

_TAIL = len(b',"crc":"00000000"}\n')
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Record, State, Manifest)
}
_encoder = msgspec.json.Encoder()


def encode(value: Record | State | Manifest) -> bytes:
    """The bytes of a struct, closed by its CRC; readable with cat and jq."""
    body = _encoder.encode(value)
    return body[:-1] + _tail(body)


def _tail(body: bytes) -> bytes:
    return b',"crc":"%08x"}\n' % zlib.crc32(body)


def digest(raw: bytes) -> str:
    """What the successor of these bytes quotes as its predecessor: 16 hex digits of their
    SHA-256.
    """
    return hashlib.sha256(raw).hexdigest()[:16]


def decode(raw: bytes, kind: type[T], path: Path) -> T:
    """The struct in `raw`, read from `path`. Raises Damaged or UnknownFormat, naming the file."""
    body = raw[:-_TAIL] + b"}"
    if raw[-_TAIL:] != _tail(body):
        _refuse_other_format(raw, path)
        raise Damaged(
            f"{path}: its checksum does not match its {len(raw)} bytes, so it is not what was "
            "written; restore this file from a backup (nothing was skipped or changed)",
            path=path,
        )
    try:
        value: T = _decoders[kind].decode(body)
    except msgspec.MsgspecError as error:
        _refuse_other_format(raw, path)
        if _is_newer(error):
            raise UnknownFormat(
                f"{path}: intact, and holds what this fspop does not know ({error}); it was "
                "written by a newer one, upgrade fspop",
                path=path,
            ) from error
        raise Damaged(
            f"{path}: intact but not a {kind.__name__.lower()}: {error}", path=path
        ) from error
    if value.format != FORMAT:
        _refuse_other_format(raw, path)
    return value


def _is_newer(error: msgspec.MsgspecError) -> bool:
    """Whether the bytes say more than this version knows: an operation, or a field."""
    return "unknown field" in str(error) or str(error).endswith(".op`")


def _refuse_other_format(raw: bytes, path: Path) -> None:
    try:
        found = json.loads(raw)["format"]
    except (ValueError, KeyError, TypeError):
        return
    if found != FORMAT:
        raise UnknownFormat(
            f"{path}: written in format {found!r}, and this fspop reads format {FORMAT}; "
            "upgrade fspop",
            path=path,
        )
