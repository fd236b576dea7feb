"""Who gives a command that is put on record."""

import getpass
import os
import socket


def person() -> str:
    """Who gives this command, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
