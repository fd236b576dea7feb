import os
import socket

import pytest

from fspop.worker.notify import notify, watchdog_interval_s


@pytest.fixture
def manager(monkeypatch):
    """A service manager's end: a bound datagram socket, listening where a test says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(5)

        def listen(address):
            channel.bind("\0" + address[1:] if address.startswith("@") else address)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            return channel

        yield listen


def test_fields_arrive_in_one_datagram(manager, tmp_path):
    channel = manager(str(tmp_path / "notify"))
    assert notify("READY=1", "STATUS=training member 3")
    assert channel.recv(4096) == b"READY=1\nSTATUS=training member 3"


def test_an_abstract_address_is_understood(manager):
    channel = manager(f"@fspop-test-{os.getpid()}")
    assert notify("WATCHDOG=1")
    assert channel.recv(4096) == b"WATCHDOG=1"


def test_a_newline_cannot_begin_another_field(manager, tmp_path):
    channel = manager(str(tmp_path / "notify"))
    notify("STATUS=member failed:\nSTOPPING=1")
    assert channel.recv(4096) == b"STATUS=member failed: STOPPING=1"


def test_nothing_happens_outside_systemd(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


@pytest.mark.parametrize("address", ["/nowhere/notify", "relative", "/" + "x" * 300, ""])
def test_an_unusable_address_never_raises(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_a_manager_that_does_not_read_never_blocks_the_worker(manager, tmp_path):
    manager(str(tmp_path / "notify"))
    sent = [notify("WATCHDOG=1") for _ in range(10_000)]
    assert sent[0] and not sent[-1]


def test_the_watchdog_is_fed_twice_as_often_as_it_asks(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_interval_s() == 15.0


@pytest.mark.parametrize(
    ("usec", "pid"), [("", ""), ("30000000", "1"), ("soon", "0"), ("0", "own")]
)
def test_no_watchdog_where_none_waits_for_this_process(monkeypatch, usec, pid):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert watchdog_interval_s() is None
