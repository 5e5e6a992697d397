"""Exceptions: what went wrong, with the messages that `ch` prints and the exit code that it has then."""
from __future__ import annotations

from typing import Any


class Error(Exception):
    """A failure. `code` is its kind ("DATA_LOSS"), `exit_code` what `ch` ends with (docs/robustness.md).

    `report` is what a run wrote before it failed, if it wrote anything.
    """

    code: str = "UNKNOWN"
    exit_code: int = 1
    report: dict[str, Any] | None = None


class InvalidArgumentError(Error, ValueError):
    """A setting, a net, an array or an option is wrong."""


class NotFoundError(Error, FileNotFoundError, ValueError):
    """A file or a name does not exist; of a name the nearest one is suggested."""


class ExistsError(Error, FileExistsError):
    """A name is taken, or a run directory is there already."""


class LimitError(Error, MemoryError):
    """A limit of sizes, or memory, was exceeded."""


class GoalError(Error):
    """All was done, and a goal that was set is not met; `report` has the figures."""


_CLASSES: dict[str, type[Error]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": ExistsError,
    "RESOURCE_EXHAUSTED": LimitError,
    "ABORTED": GoalError,
}


def error_of(code: str, exit_code: int, message: str) -> BaseException:
    """The exception of a status; an interrupt is KeyboardInterrupt, as in all of Python."""
    if code == "CANCELLED":
        return KeyboardInterrupt(message)
    error = _CLASSES.get(code, Error)(message)
    error.code = code
    error.exit_code = exit_code
    return error
