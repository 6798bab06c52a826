"""Which jobs are replayed, how often each kind comes, and what must come of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run must be judged; the code is None where nobody can know it."""

    code: int | None
    reason: str
    status: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A recorded job: ``share`` of a hundred containers are of it, and end so, one outcome for each run.

    ``unanswered`` is what remains to be said where the engine answers no inspect; empty: the same.
    """

    recording: str
    share: int
    outcomes: tuple[Outcome, ...]
    unanswered: tuple[Outcome, ...] = ()

    def expected(self, *, answered: bool) -> tuple[Outcome, ...]:
        """What must come of it, by whether inspects are answered."""
        return self.outcomes if answered or not self.unanswered else self.unanswered


COMPLETED = Outcome(0, "Completed", "done")
ERROR = Outcome(1, "Error", "failed")
OOM_KILLED = Outcome(137, "OOMKilled", "failed")
KILLED = Outcome(137, "Killed", "terminated")

MIX = (
    Kind("completed_removed", 35, (COMPLETED,)),
    Kind("completed", 22, (COMPLETED,)),
    Kind("error_exit", 15, (ERROR,)),
    Kind("oom_killed", 4, (OOM_KILLED,)),
    Kind("oom_killed_removed", 4, (OOM_KILLED,)),
    Kind("docker_kill", 4, (KILLED,)),
    Kind("docker_stop_obeyed", 4, (Outcome(143, "Terminated", "terminated"),)),
    Kind("docker_stop_timed_out", 3, (KILLED,)),
    Kind("restart_on_failure", 3, (ERROR,) * 4),
    Kind("segfault", 2, (Outcome(139, "SegmentationFault", "failed"),)),
    Kind("kill_from_outside", 1, (Outcome(137, "SIGKILL", "failed"),)),
    Kind("oom_child_error", 1, (Outcome(1, "OOMKilled", "failed"),)),
    Kind("oom_child_completed", 1, (COMPLETED,)),
    Kind(
        "command_not_found_removed",
        1,
        (Outcome(127, "CommandNotFound", "failed"),),
        (Outcome(None, "ContainerCannotRun", "failed"),),
    ),
)
PROMPT = (Kind("completed_removed", 70, (COMPLETED,)), Kind("error_exit", 30, (ERROR,)))
"""Exits for which nothing is waited, where the kernel's counter is watched."""


def hundred(mix: tuple[Kind, ...]) -> list[Kind]:
    """A hundred containers as the mix has them, not shuffled."""
    return [kind for kind in mix for _ in range(kind.share)]
