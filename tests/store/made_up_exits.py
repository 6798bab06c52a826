"""Exits at few moments around the bounds of hours and days, as Hypothesis makes them up."""

from hypothesis import strategies as st

from exporter.model import ClassifiedExit, Workload
from exporter.time_units import HOUR_NS
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job

# Some in one hour, some in others and some on other days, and on the bounds of both.
HOUR = BEGAN_NS // HOUR_NS * HOUR_NS
MOMENTS = [
    *(BEGAN_NS + seconds * SECOND_NS for seconds in range(-1, 3)),
    *(HOUR + hours * HOUR_NS + rest for hours in (-40, -25, -1, 0, 1, 13, 24) for rest in (-1, 0)),
]
WORKLOADS, HOSTS = ("etl", "train", ""), ("node-1", "node-2")
EVIDENCE = {0: STOPPED, 1: OOM, 127: NOT_STARTED, None: OOM, 137: OOM, 2: STOPPED}


@st.composite
def exits(draw: st.DrawFn) -> list[ClassifiedExit]:
    """Return exits of few workloads, hosts and codes, many of which end at the same time."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        workload = Workload(draw(st.sampled_from(WORKLOADS)), "img")
        finished_ns = draw(st.sampled_from(MOMENTS))
        began = {"start_event_ns": finished_ns - SECOND_NS}
        each = job("a", attempt=number, workload=workload, instance=draw(st.sampled_from(HOSTS)), **began)
        code = draw(st.sampled_from(list(EVIDENCE)))
        found.append(ended(each, code, EVIDENCE[code], finished_ns=finished_ns))
    return found
