"""Facts about a container that hold for all of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from signal import SIGTERM
from sys import intern

from exporter.labels import traceparent
from exporter.model import Job, SupervisedJob, Workload
from exporter.sources.docker.engine import Event, Inspection, MaskedField
from exporter.sources.docker.supervisors.registry import supervised_job
from exporter.workload import workload_of

_SHORT_ID = 12


@dataclass(slots=True)
class ContainerInfo:
    """Name, image, labels and limits of a container.

    ``image_id`` and ``image_digests`` are those of the image, empty if unknown; ``repository`` is its
    repository where ``image`` does not show it. ``supervised`` is the job that a supervisor made the
    container for. ``recorded_workload`` is the workload on record, used until the labels are known.
    ``created_ns`` is None until the container was inspected; only then are its limits and its stop signal
    known.

    What containers of one image or workload have in common is interned: each message has a copy of its own.
    """

    id: str
    name: str = ""
    image: str = ""
    repository: str = ""
    image_id: str = ""
    image_digests: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    masked_fields: frozenset[MaskedField] = frozenset()
    created_ns: int | None = None
    memory_limit_bytes: int | None = None
    cgroup_parent: str = ""
    oom_kill_disabled: bool = False
    pids_limit: int | None = None
    stop_signal: int = SIGTERM
    stop_seconds: int | None = None
    recorded_workload: Workload | None = None
    traceparent: str = ""
    supervised: SupervisedJob | None = None

    @property
    def is_inspected(self) -> bool:
        """Whether an inspection has shown its limits."""
        return self.created_ns is not None

    @property
    def display_name(self) -> str:
        """The name, or the short id of a container whose name is not known."""
        return self.name or self.id[:_SHORT_ID]

    def workload(self, order: tuple[str, ...]) -> Workload:
        """Return the workload of its runs, named by the first source in ``order`` that applies."""
        if self.recorded_workload is not None:
            return self.recorded_workload
        run = "" if self.supervised is None else self.supervised.run
        return workload_of(self.labels, self.image, order, known_as=self.repository, run=run)

    def update_from_event(self, event: Event) -> None:
        """Take over the name, image and labels in an event."""
        self.name = event.name or self.name
        self.image = intern(event.image) or self.image
        if event.masked_fields:
            self.masked_fields |= event.masked_fields
        if event.labels:
            self._set_labels(event.labels)

    def update_from_inspect(self, inspection: Inspection) -> None:
        """Take over everything in an inspection that does not belong to one run."""
        self.name = inspection.name or self.name
        self.image = intern(inspection.image) or self.image
        self.repository = inspection.repository or self.repository
        self.image_id = intern(inspection.image_id) or self.image_id
        self.image_digests = inspection.image_digests or self.image_digests
        self._set_labels(inspection.labels)
        self.created_ns = inspection.created_ns
        self.memory_limit_bytes = inspection.memory_limit_bytes
        self.cgroup_parent = inspection.cgroup_parent
        self.oom_kill_disabled = inspection.oom_kill_disabled
        self.pids_limit = inspection.pids_limit
        self.stop_signal, self.stop_seconds = inspection.stop_signal, inspection.stop_seconds

    def update_from_record(self, job: Job) -> None:
        """Take over what is on record of a job of this container."""
        self.name, self.image, self.repository = job.name, job.image, job.workload.image
        self.image_id, self.image_digests = job.image_id, job.image_digests
        self.recorded_workload, self.traceparent = job.workload, job.traceparent
        self.created_ns, self.memory_limit_bytes = job.created_ns, job.memory_limit_bytes
        # Its report is of one run.
        self.supervised = None if job.supervised is None else replace(job.supervised, report=None)

    def _set_labels(self, labels: Mapping[str, str]) -> None:
        if labels == self.labels and self.recorded_workload is None and self.supervised is None:
            # Nearly all events repeat the labels. What follows from them depends on the name only where a
            # supervisor made the container.
            return
        self.labels = {intern(name): intern(value) for name, value in labels.items()}
        self.recorded_workload, self.traceparent = None, traceparent(self.labels)
        self.supervised = supervised_job(labels, self.name)
