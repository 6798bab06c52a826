"""An exporter that tells a collector of its failed jobs: how it is asked to, and whether it has."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.exporter import BenchError, Exporter, sum_of
from bench.tape import Tape
from tests.lab.wait import wait_until

GIVE_UP_SECONDS = 60.0
PENDING = "exit_exporter_otlp_pending_jobs"
EXPORTED = "exit_exporter_otlp_jobs_exported_total"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where traces go, empty for nowhere, and whether there is a collector that takes them."""

    url: str
    protocol: str = "http/protobuf"
    takes: bool = True

    @property
    def variables(self) -> Mapping[str, str]:
        """What says so to an exporter."""
        if not self.url:
            return {}
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol}

    def await_told(self, exporter: Exporter, tape: Tape, *, answered: bool) -> None:
        """Wait until every failed job is where it must be by now. Raises BenchError where one is missing."""
        if not self.url:
            return
        failed = failed_in(tape, answered=answered)
        wanted = (0, failed) if self.takes else (failed, 0)
        if not wait_until(lambda: _spans(exporter) == wanted, GIVE_UP_SECONDS):
            raise BenchError(f"spans pending and exported are {_spans(exporter)}, and should be {wanted}")


NO_ENDPOINT = Endpoint("")


def failed_in(tape: Tape, *, answered: bool) -> int:
    """How many jobs of a tape must be judged as failed."""
    return sum(
        outcome.status == FAILED
        for container in tape.containers
        for outcome in container.kind.expected(answered=answered)
    )


def _spans(exporter: Exporter) -> tuple[int, int]:
    """How many wait, and how many the collector has taken."""
    return int(sum_of(exporter.series(PENDING), PENDING)), int(sum_of(exporter.series(EXPORTED), EXPORTED))
