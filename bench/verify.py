"""Verification that API and counter have every run once, with its code and reason."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.exporter import EXITS, BenchError, Exporter
from bench.recording import EngineRecording
from bench.scenario import Outcome

SHOWN = 5


def verify(exporter: Exporter, recording: EngineRecording, *, answered: bool) -> None:
    """Raise BenchError unless exactly the runs of the recording were counted, with the right verdicts."""
    wanted = _wanted(recording, answered=answered)
    _compare("the API", wanted, _shown(exporter.jobs()))
    _compare("the counter", Counter(map(_series, wanted.elements())), _counted(exporter))


Run = tuple[str, int, Outcome]
Series = tuple[str, str, str]


def _wanted(recording: EngineRecording, *, answered: bool) -> Counter[Run]:
    return Counter(
        (container.id, attempt, outcome)
        for container in recording.containers
        for attempt, outcome in enumerate(container.kind.expected(answered=answered), 1)
    )


def _shown(jobs: Iterable[dict[str, Any]]) -> Counter[Run]:
    return Counter(
        (
            job["container_id"],
            job["attempt"],
            Outcome(job["container_exit_code"], job["reason"], job["status"]),
        )
        for job in jobs
    )


def _series(run: Run) -> Series:
    outcome = run[2]
    return ("unknown" if outcome.code is None else str(outcome.code), outcome.reason, outcome.status)


def _counted(exporter: Exporter) -> Counter[Series]:
    counted: Counter[Series] = Counter()
    for family in text_string_to_metric_families(exporter.series(EXITS)):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == EXITS and sample.value:
                counted[labels["code"], labels["reason"], labels["status"]] += int(sample.value)
    return counted


def _compare(place: str, wanted: Counter[Any], found: Counter[Any]) -> None:
    missing, extra = wanted - found, found - wanted
    if missing or extra:
        raise BenchError(
            f"{place} is wrong: {missing.total()} missing, {extra.total()} that should not be there; "
            f"missing {missing.most_common(SHOWN)}, too many {extra.most_common(SHOWN)}"
        )
