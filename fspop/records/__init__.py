"""The words of fspop as data: what a record says, what the folded state holds, what a manifest
fixes.

Everything here is plain data without I/O. Two families share the words: the *operations* a record
carries (facts, tagged by `op`) and the *state* that folding them gives. Folding lives in
`storage.fold`.
"""

from fspop.records.effective import in_effect
from fspop.records.ids import check_id, generation_id, parse_generation_id
from fspop.records.manifest import Manifest
from fspop.records.operations import (
    AnyOp,
    AttemptFailed,
    Born,
    Claimed,
    Created,
    Finished,
    Joined,
    Left,
    Lost,
    MemberFailed,
    MutatorChanged,
    MutatorFailed,
    Op,
    Record,
    Released,
    Reported,
    Retired,
    Retried,
    SettingsChanged,
)
from fspop.records.plain import check_plain, encode_json, is_number
from fspop.records.state import (
    FORMAT,
    KEPT_CHANGES,
    KEPT_EVALUATIONS,
    Best,
    Change,
    Claim,
    Generation,
    Member,
    State,
)
from fspop.records.words import Checkpoint, Evaluation, Objectives, Point, Process

__all__ = [
    "FORMAT",
    "KEPT_CHANGES",
    "KEPT_EVALUATIONS",
    "AnyOp",
    "AttemptFailed",
    "Best",
    "Born",
    "Change",
    "Checkpoint",
    "Claim",
    "Claimed",
    "Created",
    "Evaluation",
    "Finished",
    "Generation",
    "Joined",
    "Left",
    "Lost",
    "Manifest",
    "Member",
    "MemberFailed",
    "MutatorChanged",
    "MutatorFailed",
    "Objectives",
    "Op",
    "Point",
    "Process",
    "Record",
    "Released",
    "Reported",
    "Retired",
    "Retried",
    "SettingsChanged",
    "State",
    "check_id",
    "check_plain",
    "encode_json",
    "generation_id",
    "in_effect",
    "is_number",
    "parse_generation_id",
]
