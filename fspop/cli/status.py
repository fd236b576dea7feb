"""`fspop status`: how a run stands. Reads only, takes no lock, and needs no torch."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from fspop.cli import options

if TYPE_CHECKING:
    from fspop.cli.look import Watcher

INTERVAL_S = 2.0


def command(
    run_dir: options.RunDir = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything, as JSON (schema: fspop/report/schema.py).")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every 2 s, until Ctrl-C.")] = False,
) -> None:
    """Show how the run stands.

    One line on the run, a row for each member with the hparams that vary, and what needs attention.
    The age is that of the worker's heartbeat, by the clocks of both hosts.
    """
    root = options.needed_dir(run_dir)
    from fspop.cli.look import Watcher

    watcher = Watcher(root)
    if watch and sys.stdout.isatty() and not as_json:
        _watch_live(watcher)
    while True:
        _print(watcher, as_json, one_line=watch)
        if not watch:
            return
        time.sleep(INTERVAL_S)


def _print(watcher: "Watcher", as_json: bool, one_line: bool) -> None:
    from fspop.cli import look
    from fspop.report import text

    status = watcher.look()
    if as_json:
        import msgspec

        data = msgspec.json.encode(status)
        print((data if one_line else msgspec.json.format(data, indent=2)).decode(), flush=True)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(look.drawn(status))
    else:
        print("\n".join(text.lines(status, look.width())), flush=True)


def _watch_live(watcher: "Watcher") -> None:
    from rich.live import Live

    from fspop.cli.look import drawn

    with Live(drawn(watcher.look()), auto_refresh=False) as live:
        while True:
            time.sleep(INTERVAL_S)
            live.update(drawn(watcher.look()), refresh=True)
