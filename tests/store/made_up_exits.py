"""Exits at few moments around the bounds of hours and days, as Hypothesis makes them up."""

from hypothesis import strategies as st

from exporter.model import ClassifiedExit, Evidence, LimitOwner, Workload
from exporter.time_units import HOUR_NS
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job

# Some in one hour, some in others and some on other days, and on the bounds of both.
HOUR = BEGAN_NS // HOUR_NS * HOUR_NS
MOMENTS = [
    *(BEGAN_NS + seconds * SECOND_NS for seconds in range(-1, 3)),
    *(HOUR + hours * HOUR_NS + rest for hours in (-40, -25, -1, 0, 1, 13, 24) for rest in (-1, 0)),
]
WORKLOADS, HOSTS = ("etl", "train", ""), ("node-1", "node-2")
LIMITS = (None, 1 << 30, 2 << 30)
KILLED = Evidence(oom_killed=True, limit=LimitOwner.OWN)
ENDS = (
    (0, Evidence()),
    (0, STOPPED),
    (1, OOM),
    (127, NOT_STARTED),
    (None, OOM),
    (137, OOM),
    (137, KILLED),
    (2, STOPPED),
)


@st.composite
def exits(draw: st.DrawFn) -> list[ClassifiedExit]:
    """Return exits of few workloads, hosts and codes, many of which end at the same time."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        workload = Workload(draw(st.sampled_from(WORKLOADS)), "img")
        finished_ns = draw(st.sampled_from(MOMENTS))
        code, seen = draw(st.sampled_from(ENDS))
        each = job(
            "a",
            attempt=number,
            workload=workload,
            instance=draw(st.sampled_from(HOSTS)),
            start_event_ns=finished_ns - SECOND_NS,
            memory_limit_bytes=draw(st.sampled_from(LIMITS)),
        )
        found.append(ended(each, code, seen, finished_ns=finished_ns, oom_kills=int(seen is KILLED)))
    return found
