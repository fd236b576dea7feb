"""Lets a loop that somebody else owns take its steps in turns, in a thread of its own."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from fspop.errors import TaskError

_LEAVING_S = 30.0
"""How long `close` waits for a loop that is asked to leave."""


class _Leave(BaseException):
    """Raised in the loop where it is to end; no error of its own, so `except Exception` lets go."""


class Turns:
    """Runs `loop()` in a thread of its own, and only while `go` or `inside` wait for it.

    The loop calls `next_step` before each step and is held there until more steps are ordered. So
    loop and driver never run at once, and what the loop keeps in its frames stays alive between two
    orders. What it raises comes out of the call that waits. For one driving thread.
    """

    def __init__(self, loop: Callable[[], None], what: str):
        self._loop, self._what = loop, what
        self._orders: SimpleQueue[Callable[[], Any] | int | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ordered = 0
        self._leaves = False
        self._failure: BaseException | None = None

    # -- the driver's side
    def start(self) -> None:
        """Runs the loop up to its first step, unless it was begun before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fspop-loop", daemon=True)
            self._thread.start()
            self._answer()

    def go(self, n_steps: int) -> None:
        """Lets the loop take `n_steps` steps. TaskError where it ends before."""
        if n_steps > 0:
            self._order(n_steps)

    def inside(self, act: Callable[[], Any]) -> Any:
        """What `act()` gives, called between two steps in the loop's thread."""
        if threading.current_thread() is self._thread:
            return act()
        return self._order(act)

    def close(self) -> None:
        """Ends the loop where it stands; nothing can be ordered afterwards."""
        if self._thread is not None and self._thread.is_alive():
            self._leaves = True
            self._orders.put(None)
            self._thread.join(_LEAVING_S)

    def _order(self, order: Callable[[], Any] | int) -> Any:
        self.start()
        if self._failure is not None:
            raise self._failure
        self._orders.put(order)
        return self._answer()

    def _answer(self) -> Any:
        value, error = self._answers.get()
        if error is not None:
            raise error
        return value

    # -- the loop's side
    def next_step(self) -> None:
        """Before a step: returns when it may be taken. Raises through the loop to end it."""
        if self._leaves:
            raise _Leave
        if self._ordered == 0:
            self._answers.put((None, None))
            self._serve()
        self._ordered -= 1

    def _serve(self) -> None:
        """Does what is asked for between two steps, until steps are."""
        while True:
            order = self._orders.get()
            if order is None:
                raise _Leave
            if isinstance(order, int):
                self._ordered = order
                return
            self._answers.put(_outcome(order))

    def _run(self) -> None:
        try:
            self._loop()
            while self._ordered == 0:  # it ended with the last step ordered: still good to ask
                self._answers.put((None, None))
                self._serve()
            raise TaskError(
                f"{self._what}: its loop ended {self._ordered} steps too early; let it go on for "
                "as long as steps are wanted (see docs/integrations.md)"
            )
        except _Leave:
            pass
        except BaseException as error:
            self._failure = error
            self._answers.put((None, error))


def _outcome(act: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return act(), None
    except BaseException as error:  # the driver's to handle, not the loop's
        return None, error
