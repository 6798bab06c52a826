"""Endpoint to which an exporter exports its failed jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.exporter import BenchError, Exporter, sum_of
from bench.recording import EngineRecording
from tests.lab.wait import wait_until

GIVE_UP_SECONDS = 60.0
PENDING = "exit_exporter_otlp_pending_jobs"
EXPORTED = "exit_exporter_otlp_jobs_exported_total"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Endpoint of traces, empty for none; ``accepts`` is false if no collector listens there."""

    url: str
    protocol: str = "http/protobuf"
    accepts: bool = True

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment variables for the exporter."""
        if not self.url:
            return {}
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol}

    def wait_until_exported(self, exporter: Exporter, recording: EngineRecording, *, answered: bool) -> None:
        """Wait until every failed job is exported or pending. Raises BenchError if one is missing."""
        if not self.url:
            return
        failed = failed_in(recording, answered=answered)
        wanted = (0, failed) if self.accepts else (failed, 0)
        if not wait_until(lambda: _spans(exporter) == wanted, GIVE_UP_SECONDS):
            raise BenchError(f"spans pending and exported are {_spans(exporter)}, and should be {wanted}")


NO_ENDPOINT = Endpoint("")


def failed_in(recording: EngineRecording, *, answered: bool) -> int:
    """Return the number of jobs of a recording that must be classified as failed."""
    return sum(
        outcome.status == FAILED
        for container in recording.containers
        for outcome in container.kind.expected(answered=answered)
    )


def _spans(exporter: Exporter) -> tuple[int, int]:
    """Return the number of pending and of exported jobs."""
    return int(sum_of(exporter.series(PENDING), PENDING)), int(sum_of(exporter.series(EXPORTED), EXPORTED))
