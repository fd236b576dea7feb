"""What all tests share: GPU tests are skipped by name, and every skip is counted and explained."""

import signal
from collections import Counter

import hypothesis
import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--allow-skips",
        metavar="PREFIX",
        help="fail when a test is skipped for a reason that does not begin with PREFIX (.ci/run)",
    )


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):  # tests run at once: none of the long ones comes last
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if for_gpu:
        import torch

        if not torch.cuda.is_available():
            for item in for_gpu:
                item.add_marker(pytest.mark.skip(reason="gpu: no CUDA device here"))


class SkipReport:
    """Counts skipped tests and modules by reason; fails the session for forbidden ones."""

    def __init__(self, allowed):
        self.allowed = allowed
        self.reasons = Counter()

    def note(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            known = isinstance(report.longrepr, tuple | list)
            reason = report.longrepr[2] if known else "no reason"
            self.reasons[reason.removeprefix("Skipped: ")] += 1

    pytest_runtest_logreport = note
    pytest_collectreport = note

    def forbidden(self):
        if self.allowed is None:
            return []
        return [reason for reason in self.reasons if not reason.startswith(self.allowed)]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if self.forbidden() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section("skipped tests")
        terminalreporter.line(f"{sum(self.reasons.values())} skipped")
        for reason, count in self.reasons.most_common():
            verdict = "NOT ALLOWED HERE " if reason in self.forbidden() else ""
            terminalreporter.line(f"{count:5} {verdict}{reason}")


def pytest_configure(config):
    hypothesis.settings.register_profile("fspop", deadline=None)  # a busy machine is no failure
    hypothesis.settings.load_profile("fspop")
    # A background job of a shell ignores SIGINT, and its children would inherit that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # where tests run at once, their results come together
        report = SkipReport(config.getoption("--allow-skips"))
        config.pluginmanager.register(report, "skip-report")
