"""What a job's span says of it, declared once: the spans and the documentation read this.

Names of OpenTelemetry's semantic conventions where there is one, else ``exit_exporter.…``. No name here
may ever hold an environment, a command line, or a label that was not asked for; only the engine's own text
about a start that failed may quote the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.model import ClassifiedExit, Status
from exporter.otlp.span_events import AttributeValue
from exporter.workload import tag


@dataclass(frozen=True, slots=True)
class Attribute:
    """One fact of a job; it is left out where ``value`` has none."""

    name: str
    meaning: str
    value: Callable[[ClassifiedExit], AttributeValue | None]


def _tags(judged: ClassifiedExit) -> tuple[str, ...] | None:
    found = tag(judged.exit.job.image)
    return (found,) if found else None


def _oom_limit(judged: ClassifiedExit) -> str | None:
    limit = judged.exit.evidence.limit
    return None if limit is None else limit.value


JOB_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("container.id", "The container's whole id.", lambda judged: judged.exit.job.container_id),
    Attribute("container.name", "The container's name.", lambda judged: judged.exit.job.name),
    Attribute(
        "container.image.name",
        "The image's repository, without tag or digest.",
        lambda judged: judged.exit.job.workload.image,
    ),
    Attribute("container.image.tags", "The image's tag, as a list of one.", _tags),
    Attribute("host.name", "Name of the host that it ran on.", lambda judged: judged.exit.job.instance),
    Attribute("process.exit.code", "The exit code, where it is known.", lambda judged: judged.exit.code),
    Attribute(
        "error.type",
        "The reason, of a failed job only.",
        lambda judged: judged.verdict.reason if judged.verdict.status is Status.FAILED else None,
    ),
    Attribute("exit_exporter.job.id", "The job's id, as in the API.", lambda judged: judged.exit.job.id),
    Attribute(
        "exit_exporter.job.attempt",
        "Which run of its container it was, from 1.",
        lambda judged: judged.exit.job.attempt,
    ),
    Attribute(
        "exit_exporter.workload",
        "What it is an instance of.",
        lambda judged: judged.exit.job.workload.name,
    ),
    Attribute(
        "exit_exporter.status",
        "done, failed, terminated or unknown.",
        lambda judged: judged.verdict.status.value,
    ),
    Attribute("exit_exporter.reason", "Why it ended, in one word.", lambda judged: judged.verdict.reason),
    Attribute(
        "exit_exporter.termination",
        "How it came to its end, whatever its code.",
        lambda judged: judged.verdict.termination.value,
    ),
    Attribute("exit_exporter.error", "The one text for people.", lambda judged: judged.verdict.error),
    Attribute(
        "exit_exporter.start_error",
        "The engine's own text about a start that failed, cleaned and bounded; it may quote the command.",
        lambda judged: judged.exit.evidence.start_error or None,
    ),
    Attribute(
        "exit_exporter.recovery",
        "What automation may do about it.",
        lambda judged: judged.verdict.recovery.value,
    ),
    Attribute(
        "exit_exporter.evidence",
        "What is known beside the code, in sentences.",
        lambda judged: judged.exit.evidence.notes or None,
    ),
    Attribute(
        "exit_exporter.causes",
        "Likely causes that its evidence names, the likeliest first.",
        lambda judged: judged.exit.evidence.causes or None,
    ),
    Attribute(
        "exit_exporter.not_known",
        "What was not known when it was judged, in sentences.",
        lambda judged: judged.exit.evidence.not_known or None,
    ),
    Attribute(
        "exit_exporter.oom_kills",
        "Processes of it that were killed for memory.",
        lambda judged: judged.exit.oom_kills,
    ),
    Attribute(
        "exit_exporter.oom.limit",
        "Whose memory limit was reached where that ended it: own, parent or host.",
        _oom_limit,
    ),
    Attribute(
        "exit_exporter.memory_limit_bytes",
        "The container's memory limit, where it has one.",
        lambda judged: judged.exit.job.memory_limit_bytes,
    ),
    Attribute(
        "exit_exporter.log_tail",
        "The end of its log, where the settings ask for it.",
        lambda judged: judged.exit.log_tail,
    ),
)


def job_attributes(judged: ClassifiedExit) -> dict[str, AttributeValue]:
    """All that there are of this job."""
    found = {attribute.name: attribute.value(judged) for attribute in JOB_ATTRIBUTES}
    return {name: value for name, value in found.items() if value is not None}
