"""The names of everything in a run directory. No other file spells a path."""

import re
from pathlib import Path

from fspop.records import check_id, parse_generation_id

_DIGITS = 12
_RECORD = re.compile(r"([0-9]{12})\.json\Z")
_SEGMENT = re.compile(r"([0-9]{12})-([0-9]{12})\.jsonl\.gz\Z")
_HEARTBEAT = re.compile(r"(.+)\.([0-9a-f]{8})\.json\Z")
_BEFORE = re.compile(r"\.(run\.json|experiment)\.\w+\.tmp\Z")
_STEP = re.compile(r"step-([0-9]{9,})\.t([0-9]+)\Z")


class RunPaths:
    """Every shared file name of one run, as paths below `root`, and the way back from names to
    meaning.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.manifest = self.root / "run.json"
        self.experiment = self.root / "experiment"
        self.init_lock = self.root / ".init.lock"
        self.controller = self.root / "controller"
        self.lock = self.controller / "lock"
        self.log = self.controller / "log"
        self.snapshots = self.controller / "snapshots"
        self.history = self.controller / "history"
        self.checkpoints = self.root / "checkpoints"
        self.workers = self.root / "workers"
        self.logs = self.root / "logs"

    def folders(self) -> list[Path]:
        """The folders every run has, parents first."""
        return [
            self.controller,
            self.log,
            self.snapshots,
            self.history,
            self.checkpoints,
            self.workers,
            self.logs,
        ]

    # -- before it is a run
    def manifest_attempt(self, token: str) -> Path:
        """The temporary that becomes the manifest."""
        return self.root / f".run.json.{token}.tmp"

    def staged_experiment(self, token: str) -> Path:
        """Where one init puts the experiment's code before it is known to be good."""
        return self.root / f".experiment.{token}.tmp"

    def is_part_of_init(self, name: str) -> bool:
        """Whether a name in the root is one that an init makes before it publishes the manifest."""
        folders = {self.experiment.name, *(p.name for p in self.folders() if p.parent == self.root)}
        return name in folders or name == self.init_lock.name or bool(_BEFORE.match(name))

    # -- the log
    def record(self, seq: int) -> Path:
        """The record of one transaction."""
        return self.log / f"{seq:0{_DIGITS}d}.json"

    def attempt(self, seq: int, txn: str, attempt: int) -> Path:
        """The temporary one attempt writes before it links it to `record(seq)`."""
        return self.log / f".{seq:0{_DIGITS}d}.{txn}.{attempt}.tmp"

    @staticmethod
    def record_seq(name: str) -> int | None:
        """The sequence number of a record's file name, None for other names."""
        match = _RECORD.match(name)
        return int(match[1]) if match else None

    @staticmethod
    def attempt_seq(name: str) -> int | None:
        """The sequence number a temporary was meant for, None for other names."""
        return int(name[1 : 1 + _DIGITS]) if re.match(r"\.[0-9]{12}\..*\.tmp\Z", name) else None

    def snapshot(self, seq: int) -> Path:
        """The state folded from every record below `seq`."""
        return self.snapshots / f"{seq:0{_DIGITS}d}.json"

    def segment(self, first: int, last: int) -> Path:
        """The folded records `first` to `last`, both included."""
        return self.history / f"{first:0{_DIGITS}d}-{last:0{_DIGITS}d}.jsonl.gz"

    @staticmethod
    def segment_range(name: str) -> tuple[int, int] | None:
        """(first, last) of a history segment's file name, None for other names."""
        match = _SEGMENT.match(name)
        return (int(match[1]), int(match[2])) if match else None

    # -- checkpoints
    def checkpoint(self, generation: str, step: int, term: int) -> Path:
        """The checkpoint folder that the holder of `term` writes for this generation and step."""
        return self.generation_checkpoints(generation) / f"step-{step:09d}.t{term}"

    def generation_checkpoints(self, generation: str) -> Path:
        """The folder of one generation's checkpoints."""
        if parse_generation_id(generation) is None:
            raise ValueError(f"not a generation id: {generation!r}")
        return self.checkpoints / generation

    @staticmethod
    def checkpoint_step_term(name: str) -> tuple[int, int] | None:
        """(step, term) of a checkpoint folder's name, None for other names."""
        match = _STEP.match(name)
        return (int(match[1]), int(match[2])) if match else None

    def relative(self, path: Path) -> str:
        """A path inside the run as it is recorded: relative, so a run may be mounted anywhere."""
        return path.relative_to(self.root).as_posix()

    # -- workers and logs
    def heartbeat(self, worker: str, incarnation: str) -> Path:
        """The heartbeat of one worker process."""
        return self.workers / f"{check_id(worker, 'worker id')}.{incarnation}.json"

    @staticmethod
    def heartbeat_owner(name: str) -> tuple[str, str] | None:
        """(worker, incarnation) of a heartbeat's file name, None for other names."""
        match = _HEARTBEAT.match(name)
        return (match[1], match[2]) if match else None

    def worker_log(self, worker: str) -> Path:
        """What worker `worker` printed, all its incarnations in one file."""
        return self.logs / f"worker-{check_id(worker, 'worker id')}.log"

    def member_log(self, member: int) -> Path:
        """The folder of a member's TensorBoard events."""
        return self.logs / f"member-{member:03d}"
