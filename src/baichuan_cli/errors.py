"""The one error that reaches a person, and the exit codes that scripts can rely on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `bcli`; documented in the README, so a change is a breaking change."""

    OK = 0
    PARTIAL = 1  # finished, but some prompts failed
    USAGE = 2  # a bad option or a bad line in an input file
    REFUSED = 3  # the plan refuses: nothing was loaded
    NOT_FOUND = 4  # unknown model or profile, missing file
    INVALID = 5  # a checkpoint, profile or configuration file cannot be read or makes no sense
    ENGINE = 6  # vLLM is missing, or failed
    OUTPUT = 7  # an output file cannot be written
    WRONG = 8  # the self-check found that the engine's answers are wrong
    INTERRUPTED = 130  # Ctrl-C
    TERMINATED = 143  # SIGTERM, to a server


class BcliError(Exception):
    """Something a person can act on.

    Args:
        message: what went wrong, with the value that was given.
        hint: the next thing to try, in the person's own words; empty when there is none.
        exit_code: what the process exits with.
    """

    def __init__(self, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
