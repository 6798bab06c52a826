"""Two hours of made-up exporters, each with a scrape job of its own, for what `scenario` does not have.

A scrape sees a series as 0 before it sees its value; after a restart it sees the totals of before once,
before what was found of the time away.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.dashboards.scenario import BEGIN, END, HOUR, MINUTE, START

SCRAPE = 15
ALERT = "JobCannotStart"
DAY = 24 * 60 * MINUTE
JOB = '{{{own},host="{host}",workload="{workload}",image="i"'
EXITS = f'container_exits_total{JOB},status="{{status}}",code="{{code}}",reason="{{reason}}"}}}}'
KILLS = f"container_oom_kills_total{JOB}}}}}"


@dataclass(frozen=True)
class Event:
    """End of a job, at a second since 1970."""

    second: int
    workload: str = "shop/worker"
    reason: str = "Error"

    def series(self, own: str, host: str) -> Iterator[str]:
        """Yield the counters that it increases."""
        done, oom = self.reason == "Completed", self.reason == "OOMKilled"
        status, code = ("done", 0) if done else ("failed", 137 if oom else 1)
        names = {"own": own, "host": host, "workload": self.workload, "reason": self.reason}
        yield EXITS.format(status=status, code=code, **names)
        if oom:
            yield KILLS.format(**names)


@dataclass(frozen=True)
class Target:
    """Exporter that counts events; ``away`` are the minutes since `START` in which it does not answer.

    ``phase`` is the second of its scrapes; ``restarted`` whether it was down, or only out of reach;
    ``reset_at`` the minute at which it loses its counts.
    """

    job: str
    events: Sequence[Event]
    instance: str = "one:10137"
    host: str = "node"
    phase: int = 0
    away: tuple[int, int] = (0, 0)
    restarted: bool = True
    reset_at: int | None = None
    running: Sequence[str] = ("shop/worker",)

    def scrapes(self) -> Iterator[str]:
        """Yield all samples."""
        own, shown = f'job="{self.job}",instance="{self.instance}"', dict[str, int]()
        was_away = False
        for second in range(START + self.phase, END + 1, SCRAPE):
            up = not self._is_away(second)
            yield f"up{{{own}}} {int(up)} {second}"
            yield f"scrape_duration_seconds{{{own}}} 0.1 {second}"
            if not up:
                was_away = True
                continue
            kept = was_away and self.restarted
            shown = self._shown(second, own, shown, kept=kept)
            was_away = False
            yield from (f"{series} {value} {second}" for series, value in shown.items())
            yield f'exit_exporter_engine_up{{{own},engine="unix:///var/run/docker.sock"}} 1 {second}'
            yield f'exit_exporter_build_info{{{own},version="1",python_version="3"}} 1 {second}'
            for name in self.running:
                yield f'container_jobs_running{{{own},host="{self.host}",workload="{name}"}} 1 {second}'

    def _is_away(self, second: int) -> bool:
        return self.away[0] * MINUTE <= second - START < self.away[1] * MINUTE

    def _shown(self, second: int, own: str, before: dict[str, int], *, kept: bool) -> dict[str, int]:
        reset = None if self.reset_at is None else START + self.reset_at * MINUTE
        since = START if reset is None or second < reset else reset
        happened = (event for event in self.events if since <= event.second <= second)
        counts = Counter(series for event in happened for series in event.series(own, self.host))
        if since > START and not counts:
            return {}
        return {name: before.get(name, 0) if kept or name not in before else counts[name] for name in counts}


def every(seconds: int, begin: float = 5, end: float = 89, **event: str) -> list[Event]:
    """Return an event every so many seconds, from one minute since `START` to another, none at a scrape."""
    return [
        Event(at + 1, **event)
        for at in range(START + round(begin * MINUTE), START + round(end * MINUTE), seconds)
    ]


def mid_minute(events: Iterable[Event]) -> list[Event]:
    """Return those that two exporters see in the same minute, whatever their phase."""
    return [event for event in events if 10 <= event.second % MINUTE <= 20]


HUNDRED = [
    Event(
        START + 200 + 61 * at + number,
        f"team/service-{number:03}",
        "OOMKilled" if number % 5 == 0 else "Error",
    )
    for number in range(100)
    for at in range(30 + number // 2)
]
NEW = [Event(START + 45 * MINUTE + 7, "first/kill", "OOMKilled")]
DONE = every(20, workload="shop/worker", reason="Completed")
AWAY = (40, 52)
TARGETS = [
    Target("steady", [*every(17), *DONE, *NEW]),
    Target("outage", [*every(20), *DONE], away=AWAY, phase=3),
    Target("out-of-reach", [*every(20), *DONE], away=AWAY, phase=3, restarted=False),
    Target("set-back", every(20), reset_at=50),
    Target("hundred", HUNDRED, running=[f"team/service-{number:03}" for number in range(100)]),
    Target("replicas", mid_minute(every(11))),
    Target("replicas", mid_minute(every(11)), instance="two:10137", phase=7),
    Target("dead", every(20, end=20), away=(20, 200)),
    Target("half", [], host="node-a"),
    Target("half", [], instance="two:10137", host="node-b", away=(60, 200)),
]
SPIKE = [*every(600, 1, 85, reason="OOMKilled"), *every(2, 80, 81, reason="OOMKilled")]
TARGETS.append(Target("spike", SPIKE))


def others() -> Iterator[str]:
    """Yield samples of eleven other programs under the scrape job of an exporter: they are slow, and down."""
    for number in range(11):
        own = f'{{job="steady",instance="other-{number}:9100"}}'
        for second in range(START, END + 1, SCRAPE):
            yield f"up{own} 0 {second}"
            yield f"scrape_duration_seconds{own} 9 {second}"


def past() -> str:
    """Return what Prometheus has scraped, as OpenMetrics with the times and labels of the targets."""
    return as_openmetrics([*(line for target in TARGETS for line in target.scrapes()), *others()])


def ten_days() -> str:
    """Return what Prometheus has scraped of an engine that was not watched for half a day, three days ago."""
    away = range(END - 3 * DAY, END - 3 * DAY + DAY // 2)
    seconds = [second for second in range(END - 10 * DAY, END + 1, 4 * MINUTE) if second not in away]
    return as_openmetrics(
        [f'exit_exporter_engine_up{{job="long",instance="a"}} 1 {each}' for each in seconds]
    )


def of_names(names: Iterable[str]) -> str:
    """Return what Prometheus has scraped of hosts with these names.

    Each has one workload, which has failed once for one reason, and an alert that fires, all with its name.
    """
    samples: list[str] = []
    for number, name in enumerate(names):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        failure = Event(END - HOUR // 2 + 1, workload=quoted, reason=quoted)
        samples += Target("names", [failure], f"{number}:10137", quoted, running=[quoted]).scrapes()
        labels = f'alertname="{ALERT}",severity="warning",host="{quoted}",workload="{quoted}"'
        for second in range(failure.second, END, SCRAPE):
            samples.append(f'ALERTS{{{labels},alertstate="firing"}} 1 {second}')
            samples.append(f"ALERTS_FOR_STATE{{{labels}}} {failure.second} {second}")
    return as_openmetrics(samples)


def as_openmetrics(samples: Iterable[str]) -> str:
    """Return the text of samples."""
    return "\n".join([*samples, "# EOF", ""])


def failures_in_range(job: str) -> int:
    """Return how many jobs failed in the hour that dashboards show."""
    target = next(each for each in TARGETS if each.job == job)
    return sum(BEGIN < event.second <= END and event.reason != "Completed" for event in target.events)
