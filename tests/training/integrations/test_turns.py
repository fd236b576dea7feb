import threading

import pytest

from fspop.errors import ConfigurationError, TaskError
from fspop.training.integrations.missing import require
from fspop.training.integrations.turns import Turns


class Loop:
    """Counts its steps; what happened is in `seen`."""

    def __init__(self, ends_after=10**6, fails_at=None):
        self.ends_after, self.fails_at = ends_after, fails_at
        self.turns = Turns(self.run, "Loop")
        self.step, self.seen = 0, []

    def run(self):
        try:
            while self.step < self.ends_after:
                self.turns.next_step()
                if self.step == self.fails_at:
                    raise RuntimeError("the data is gone")
                self.step += 1
        finally:
            self.seen.append("left")


def test_the_loop_takes_exactly_the_steps_that_were_ordered():
    loop = Loop()
    loop.turns.start()
    assert loop.step == 0
    for n_steps, stands_at in [(3, 3), (1, 4), (0, 4), (5, 9)]:
        loop.turns.go(n_steps)
        assert loop.step == stands_at
    loop.turns.close()


def test_what_is_asked_between_steps_runs_in_the_loops_thread_even_from_inside():
    loop = Loop()
    inside, outside = loop.turns.inside(threading.current_thread), threading.current_thread()
    assert inside is not outside
    assert loop.turns.inside(lambda: loop.turns.inside(threading.current_thread)) is inside
    loop.turns.close()


def test_closing_ends_the_thread_and_what_the_loop_has_to_do_at_its_end_is_done():
    loop = Loop()
    loop.turns.go(2)
    loop.turns.close()
    assert loop.seen == ["left"]
    assert "fspop-loop" not in [thread.name for thread in threading.enumerate()]
    Loop().turns.close()  # one that never began


def test_what_the_loop_raises_comes_out_of_the_call_that_waits_and_of_every_later_one():
    loop = Loop(fails_at=2)
    loop.turns.go(2)
    for order in (lambda: loop.turns.go(1), lambda: loop.turns.inside(lambda: 1)):
        with pytest.raises(RuntimeError, match="the data is gone"):
            order()


def test_what_an_act_raises_is_the_drivers_and_the_loop_goes_on():
    loop = Loop()
    with pytest.raises(ZeroDivisionError):
        loop.turns.inside(lambda: 1 / 0)
    loop.turns.go(2)
    assert loop.step == 2
    loop.turns.close()


def test_a_loop_that_ends_with_the_last_step_can_be_asked_and_one_that_ends_before_is_an_error():
    loop = Loop(ends_after=3)
    loop.turns.go(3)
    assert loop.turns.inside(lambda: loop.step) == 3
    with pytest.raises(TaskError, match="its loop ended 2 steps too early"):
        loop.turns.go(2)


def test_a_missing_library_is_one_line_that_names_the_extra():
    with pytest.raises(ConfigurationError) as caught:
        require("no_such_library", "lightning", "Member")
    assert caught.value.message == (
        "Member: no_such_library is not installed here; install it with "
        "pip install 'fspop[lightning]'"
    )
