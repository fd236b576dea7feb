"""Tells systemd how a worker is doing: sd_notify, one datagram, without a library."""

import os
import socket


def notify(*fields: str) -> bool:
    """Sends fields such as "READY=1", "WATCHDOG=1" or "STATUS=..." to the service manager.

    Returns whether they were sent. Does nothing outside systemd ($NOTIFY_SOCKET unset) and never
    raises: a lost message must not stop training. A newline inside a field becomes a space, because
    it would begin another field. See sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not fields or address[:1] not in ("/", "@"):
        return False
    if address.startswith("@"):  # Linux's abstract namespace: the name begins with a NUL
        address = "\0" + address[1:]
    message = "\n".join(" ".join(field.splitlines()) for field in fields)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)  # a manager that does not read must not hold up training
            channel.sendto(message.encode(errors="replace"), address)
    except (OSError, ValueError):
        return False
    return True


def watchdog_interval_s() -> float | None:
    """How often to send "WATCHDOG=1": half of what the unit's WatchdogSec allows.

    None where no watchdog waits for this process (unset, damaged, or meant for another pid).
    """
    try:
        limit_us = int(os.environ.get("WATCHDOG_USEC", "0"))
        pid = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 and pid == os.getpid() else None
