"""The error tree: everything fspop raises on purpose, and the exit code each one ends a command
with.

FspopError                       70  a bug: please report it
├── UsageError                    2  the command or call does not make sense as written
│   └── InvalidId                 2  an id that does not match the pattern or is out of range
├── ConfigurationError           78  retrying cannot help: somebody has to change something
│   ├── InvalidSetting           78  a constructor's argument (also a ValueError)
│   ├── NotARun                  78  the directory is missing, foreign, or has no manifest
│   ├── RunExists                78  the directory already holds a run
│   ├── UnknownFormat            78  written by a version of fspop this one cannot read
│   ├── ExperimentError          78  the experiment does not import, or holds no experiment
│   ├── ExperimentChanged        78  the experiment's code differs from the one the run began with
│   ├── DuplicateWorker          78  another live process works under this id
│   ├── NotWritable              78  the directory is read-only or belongs to somebody else
│   └── Damaged                  78  a record, snapshot or checkpoint is not what was written
├── TryLater                     75  the same call may work in a moment
│   ├── DiskFull                 75  no space, or no quota, left
│   ├── StorageUnavailable       75  the filesystem kept failing for longer than the patience
│   ├── Fenced                   75  somebody else took this worker's member over
│   └── RankLost                 75  another process of this worker's is gone
└── TaskError                    70  the user's task failed
    ├── TaskRaised               70  it raised; the exception is the cause
    └── HparamsNotApplied        70  a hyperparameter in effect differs from the one assigned
"""

from typing import Any


class FspopError(Exception):
    """Root of the tree. `exit_code` is what the command line ends with; keyword arguments stay as
    attributes.
    """

    exit_code = 70

    def __init__(self, message: str, **attributes: Any):
        super().__init__(message)
        self.message = message
        self.attributes = attributes
        self.__dict__.update(attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.attributes)


def _rebuild(cls: type[FspopError], message: str, attributes: dict[str, Any]) -> FspopError:
    return cls(message, **attributes)


class UsageError(FspopError):
    """The command or call does not make sense as written."""

    exit_code = 2


class InvalidId(UsageError, ValueError):
    """An id that does not match the pattern or is out of range."""


class ConfigurationError(FspopError):
    """Retrying cannot help; somebody has to change something first."""

    exit_code = 78


class InvalidSetting(ConfigurationError, ValueError):
    """A constructor was given a value it cannot work with."""


class NotARun(ConfigurationError):
    """The directory is missing, foreign, or has no manifest."""


class RunExists(ConfigurationError):
    """The directory already holds a run."""


class UnknownFormat(ConfigurationError):
    """Written by a version of fspop this one cannot read."""


class ExperimentError(ConfigurationError):
    """The experiment does not import, or holds no experiment."""


class ExperimentChanged(ConfigurationError):
    """The experiment's code differs from the one the run was created with."""


class DuplicateWorker(ConfigurationError):
    """Another live process works under this id."""


class NotWritable(ConfigurationError):
    """The directory is read-only or belongs to somebody else."""


class Damaged(ConfigurationError):
    """A record, snapshot or checkpoint is not what was written."""


class TryLater(FspopError):
    """The same call may work in a moment."""

    exit_code = 75


class DiskFull(TryLater):
    """No space, or no quota, left where the run lives."""


class StorageUnavailable(TryLater):
    """The filesystem kept failing for longer than the patience."""


class Fenced(TryLater):
    """Somebody else took this worker's member over; nothing was written."""


class RankLost(TryLater):
    """Another process that trained the same member is gone; start all of them again."""


class TaskError(FspopError):
    """The user's task failed."""


class TaskRaised(TaskError):
    """The user's task raised; the exception is this one's cause."""


class HparamsNotApplied(TaskError):
    """A hyperparameter in effect differs from the one assigned."""
