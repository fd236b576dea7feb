"""What a run was made with, and what was changed since: the settings in effect."""

from msgspec.structs import replace

from fspop.errors import UnknownFormat
from fspop.records.manifest import Manifest
from fspop.records.state import State


def in_effect(manifest: Manifest, state: State) -> Manifest:
    """The manifest as if the run had been made with what people changed since (`fspop set`).

    Raises UnknownFormat where a newer fspop changed a setting that this one does not have.
    """
    changed = dict(state.settings)
    if state.strategy is not None:
        changed["mutator"] = state.strategy
    unknown = sorted(set(changed) - set(Manifest.__struct_fields__))
    if unknown:
        raise UnknownFormat(
            f"run {manifest.run}: its setting {unknown[0]!r} was changed by a newer fspop, and "
            "this one does not have it; upgrade fspop"
        )
    return replace(manifest, **changed)
