"""Attributes of a job's span, declared once: the encoders and the documentation read this.

Names are those of OpenTelemetry's semantic conventions if there is one, else ``exit_exporter.…``. No
attribute may hold an environment, a command line, or a label that no setting names; only the engine's text
about a failed start may quote the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.model import ClassifiedExit, Status, Submission, SupervisedJob
from exporter.otlp.span_events import AttributeValue
from exporter.workload import tag

# The supervisor whose names the attributes below are.
_DSTACK = "dstack"


@dataclass(frozen=True, slots=True)
class Attribute:
    """Attribute of a job; it is left out if ``value`` returns None."""

    name: str
    meaning: str
    value: Callable[[ClassifiedExit], AttributeValue | None]


def _of_dstack(
    value: Callable[[SupervisedJob], AttributeValue | None],
) -> Callable[[ClassifiedExit], AttributeValue | None]:
    """Return a function for one of the names that dstack has for a job; None where it has none."""

    def of_exit(classified: ClassifiedExit) -> AttributeValue | None:
        supervised = classified.exit.job.supervised
        if supervised is None or supervised.supervisor != _DSTACK or value(supervised) == "":
            return None
        return value(supervised)

    return of_exit


def _of_submission(
    value: Callable[[Submission], AttributeValue | None],
) -> Callable[[ClassifiedExit], AttributeValue | None]:
    """Return a function for one of the facts that dstack's server reports; None where it has none."""
    return _of_dstack(lambda job: None if job.submission is None else value(job.submission))


def _tags(classified: ClassifiedExit) -> tuple[str, ...] | None:
    found = tag(classified.exit.job.image)
    return (found,) if found else None


def _oom_limit(classified: ClassifiedExit) -> str | None:
    limit = classified.exit.evidence.limit
    return None if limit is None else limit.value


JOB_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("container.id", "Full id of the container.", lambda each: each.exit.job.container_id or None),
    Attribute("container.name", "Name of the container.", lambda each: each.exit.job.name),
    Attribute(
        "container.runtime.name",
        "What ran the container: docker, also for an engine that has its API.",
        lambda each: each.exit.job.runtime or None,
    ),
    Attribute(
        "container.image.name",
        "Repository of the image, without tag and digest.",
        lambda each: each.exit.job.workload.image,
    ),
    Attribute("container.image.tags", "Tag of the image, as a list with one item.", _tags),
    Attribute(
        "container.image.id", "Id of the image on its engine.", lambda each: each.exit.job.image_id or None
    ),
    Attribute(
        "container.image.repo_digests",
        "Digests of the image in registries; a local image has none.",
        lambda each: each.exit.job.image_digests or None,
    ),
    Attribute(
        "host.name", "Name of the host that the job ran on.", lambda each: each.exit.job.instance or None
    ),
    Attribute("process.exit.code", "Exit code, if it is known.", lambda each: each.exit.code),
    Attribute(
        "error.type",
        "Reason; failed jobs only.",
        lambda each: each.verdict.reason if each.verdict.status is Status.FAILED else None,
    ),
    Attribute("exit_exporter.job.id", "Id of the job, as in the API.", lambda each: each.exit.job.id),
    Attribute(
        "exit_exporter.job.attempt",
        "Number of the run of its container, from 1.",
        lambda each: each.exit.job.attempt,
    ),
    Attribute("dstack.run.name", "Name of dstack's run.", _of_dstack(lambda job: job.run)),
    Attribute("dstack.job.id", "Id of dstack's job submission.", _of_dstack(lambda job: job.id)),
    Attribute("dstack.job.num", "Number of the job in the run.", _of_dstack(lambda job: job.job_num)),
    Attribute("dstack.replica.num", "Number of the replica.", _of_dstack(lambda job: job.replica_num)),
    Attribute(
        "dstack.project.name",
        "Project, if dstack's server had reported it when the span was sent.",
        _of_submission(lambda submission: submission.project),
    ),
    Attribute("dstack.user.name", "User, likewise.", _of_submission(lambda submission: submission.user)),
    Attribute(
        "dstack.submission.num",
        "Number of the submission of its job, from 0, likewise.",
        _of_submission(lambda submission: submission.number),
    ),
    Attribute(
        "dstack.termination",
        "The server's word for the end, likewise.",
        _of_submission(lambda submission: submission.termination),
    ),
    Attribute(
        "dstack.stopped_by",
        "Who asked for the end, user or server, likewise.",
        _of_submission(lambda submission: submission.stopped_by),
    ),
    Attribute(
        "exit_exporter.workload",
        "Workload that the job belongs to.",
        lambda each: each.exit.job.workload.name,
    ),
    Attribute(
        "exit_exporter.status",
        "done, failed, terminated or unknown.",
        lambda each: each.verdict.status.value,
    ),
    Attribute(
        "exit_exporter.reason",
        "Why the job ended, in one word.",
        lambda each: each.verdict.reason,
    ),
    Attribute(
        "exit_exporter.termination",
        "How the job ended, whatever its exit code.",
        lambda each: each.verdict.termination,
    ),
    Attribute(
        "exit_exporter.error",
        "Description of the end, for people.",
        lambda each: each.verdict.error,
    ),
    Attribute(
        "exit_exporter.start_error",
        "The engine's text about a failed start, sanitized and shortened; it may quote the command.",
        lambda each: each.exit.evidence.start_error or None,
    ),
    Attribute(
        "exit_exporter.recovery",
        "What automation may do about the failure.",
        lambda each: each.verdict.recovery.value,
    ),
    Attribute(
        "exit_exporter.evidence",
        "What is known besides the exit code, in sentences.",
        lambda each: each.exit.evidence.notes or None,
    ),
    Attribute(
        "exit_exporter.causes",
        "Likely causes that the evidence names, the likeliest first.",
        lambda each: each.exit.evidence.causes or None,
    ),
    Attribute(
        "exit_exporter.not_known",
        "What was not known at classification, in sentences.",
        lambda each: each.exit.evidence.not_known or None,
    ),
    Attribute(
        "exit_exporter.oom_kills",
        "Number of processes of the job that were killed for memory.",
        lambda each: each.exit.oom_kills,
    ),
    Attribute(
        "exit_exporter.oom.limit",
        "Whose memory limit was reached, if that ended the job: own, parent or host.",
        _oom_limit,
    ),
    Attribute(
        "exit_exporter.memory_limit_bytes",
        "Memory limit of the container, if it has one.",
        lambda each: each.exit.job.memory_limit_bytes,
    ),
    Attribute(
        "exit_exporter.log_tail",
        "End of the job's log, if the settings ask for it.",
        lambda each: each.exit.log_tail,
    ),
)


def job_attributes(classified: ClassifiedExit) -> dict[str, AttributeValue]:
    """Return the attributes of a job, without those that have no value."""
    found = {attribute.name: attribute.value(classified) for attribute in JOB_ATTRIBUTES}
    return {name: value for name, value in found.items() if value is not None}
