"""The experiment's code: copied into the run at init, checked by digest, imported from the copy."""

from fspop.experiment_code.check import check_in_fresh_process
from fspop.experiment_code.files import copy_code, digest_code, digest_source, relative_file
from fspop.experiment_code.load import (
    DEFAULT_ATTRIBUTE,
    check_unchanged,
    load_experiment,
    load_run_experiment,
    split_target,
)
from fspop.experiment_code.names import Names
from fspop.experiment_code.overrides import apply_overrides, parse_override

__all__ = [
    "DEFAULT_ATTRIBUTE",
    "Names",
    "apply_overrides",
    "check_in_fresh_process",
    "check_unchanged",
    "copy_code",
    "digest_code",
    "digest_source",
    "load_experiment",
    "load_run_experiment",
    "parse_override",
    "relative_file",
    "split_target",
]
