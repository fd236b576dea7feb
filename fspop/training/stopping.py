"""When training ends before its last epoch."""

from collections.abc import Mapping, Sequence
from typing import Any


def reason_to_stop(
    accuracies: Sequence[float], stop_when_acc: float, early_stop: Mapping[str, Any] | None
) -> str:
    """Why to stop, "" to go on, after validations that gave these accuracies, one each time.

    `stop_when_acc` (0: never) is compared with the last one. `early_stop` stops where the last one
    is less than `improv` above the one `num_epochs` validations before it, once both exist.
    """
    if not accuracies:
        return ""
    last = accuracies[-1]
    if stop_when_acc > 0 and last >= stop_when_acc:
        return f"accuracy {last:.4g} reached stop_when_acc={stop_when_acc:g}"
    if early_stop is None or len(accuracies) <= early_stop["num_epochs"]:
        return ""
    gained = last - accuracies[-1 - early_stop["num_epochs"]]
    if gained < early_stop["improv"]:
        return (
            f"accuracy gained {gained:.4g} in {early_stop['num_epochs']} validations, less than "
            f"early_stop's improv={early_stop['improv']:g}"
        )
    return ""
