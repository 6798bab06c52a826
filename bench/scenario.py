"""Jobs that are replayed, the share of each kind, and the expected outcomes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Expected verdict of one run; the code is None if it cannot be known."""

    code: int | None
    reason: str
    status: str


@dataclass(frozen=True, slots=True)
class JobKind:
    """Recorded job with its share of a hundred containers, and the outcome of each run.

    ``unanswered`` are the outcomes if the engine answers no inspects; empty if they are the same.
    """

    job: str
    share: int
    outcomes: tuple[Outcome, ...]
    unanswered: tuple[Outcome, ...] = ()

    def expected(self, *, answered: bool) -> tuple[Outcome, ...]:
        """Return the expected outcomes, with inspects answered or not."""
        return self.outcomes if answered or not self.unanswered else self.unanswered


COMPLETED = Outcome(0, "Completed", "done")
ERROR = Outcome(1, "Error", "failed")
OOM_KILLED = Outcome(137, "OOMKilled", "failed")
KILLED = Outcome(137, "Killed", "terminated")

MIXED = (
    JobKind("completed_removed", 35, (COMPLETED,)),
    JobKind("completed", 22, (COMPLETED,)),
    JobKind("error_exit", 15, (ERROR,)),
    JobKind("oom_killed", 4, (OOM_KILLED,)),
    JobKind("oom_killed_removed", 4, (OOM_KILLED,)),
    JobKind("docker_kill", 4, (KILLED,)),
    JobKind("docker_stop_obeyed", 4, (Outcome(143, "Terminated", "terminated"),)),
    JobKind("docker_stop_timed_out", 3, (KILLED,)),
    JobKind("restart_on_failure", 3, (ERROR,) * 4),
    JobKind("segfault", 2, (Outcome(139, "SegmentationFault", "failed"),)),
    JobKind("kill_from_outside", 1, (Outcome(137, "SIGKILL", "failed"),)),
    JobKind("oom_child_error", 1, (Outcome(1, "OOMKilled", "failed"),)),
    JobKind("oom_child_completed", 1, (COMPLETED,)),
    JobKind(
        "command_not_found_removed",
        1,
        (Outcome(127, "CommandNotFound", "failed"),),
        (Outcome(None, "ContainerCannotRun", "failed"),),
    ),
)
PROMPT = (JobKind("completed_removed", 70, (COMPLETED,)), JobKind("error_exit", 30, (ERROR,)))
"""Exits that wait for nothing if the kernel's counter is watched."""


def hundred_containers(scenario: tuple[JobKind, ...]) -> list[JobKind]:
    """Return the kinds of a hundred containers in the order of the scenario."""
    return [kind for kind in scenario for _ in range(kind.share)]
