"""What becomes of a job, in words of closed sets."""

from enum import StrEnum


class Status(StrEnum):
    """Status of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


class Termination(StrEnum):
    """Way in which a job ended, whatever its code."""

    DONE = "DONE"
    TERMINATED_BY_USER = "TERMINATED_BY_USER"
    CONTAINER_EXITED_WITH_ERROR = "CONTAINER_EXITED_WITH_ERROR"
    CREATING_CONTAINER_ERROR = "CREATING_CONTAINER_ERROR"
    INSTANCE_LOST = "INSTANCE_LOST"
    EXIT_NOT_OBSERVED = "EXIT_NOT_OBSERVED"


class Recovery(StrEnum):
    """Action that automation may take after an exit."""

    NONE = "none"
    RETRY = "retry"
    RETRY_LATER = "retry-later"
    MORE_MEMORY = "more-memory"
    FIX_COMMAND = "fix-command"
    FIX_CODE = "fix-code"
