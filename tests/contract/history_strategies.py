"""Hypothesis strategies for histories and outages."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.contract.histories import (
    HANGUP,
    OOM,
    PLAIN,
    REQUESTS,
    UNSTARTED,
    ContainerPlan,
    FailedStartPlan,
    History,
    InspectDelay,
    ListTiming,
    Outage,
    RunPlan,
)


@st.composite
def runs(draw: st.DrawFn) -> RunPlan:
    """Return a run."""
    span_events: list[str | int] = [OOM, HANGUP, *REQUESTS]
    events = tuple(draw(st.lists(st.sampled_from(span_events), max_size=3)))
    code = draw(st.sampled_from([0, *PLAIN]))
    # A run whose verdict no late OOM event could change does not wait for one.
    may_be_late = code != 0 and not set(events) & set(REQUESTS)
    return RunPlan(events, code, may_be_late and draw(st.booleans()))


STARTS = st.one_of(runs(), runs(), st.builds(FailedStartPlan, st.sampled_from(sorted(UNSTARTED))))
CONTAINERS = st.one_of(
    st.builds(ContainerPlan, st.tuples(STARTS), st.just(value=True)),
    st.builds(ContainerPlan, st.lists(STARTS, min_size=1, max_size=3).map(tuple), st.booleans()),
)
LAGS = st.integers(min_value=0, max_value=12)
INSPECT_DELAYS = st.builds(InspectDelay, LAGS, LAGS)
ORDERS = st.lists(st.integers(min_value=0, max_value=3), min_size=1, max_size=30).map(tuple)
PLACES = st.integers(min_value=0, max_value=40)


def histories() -> st.SearchStrategy[History]:
    """Return histories with inspections, and without a list."""
    return st.builds(
        History,
        st.lists(CONTAINERS, min_size=1, max_size=4).map(tuple),
        ORDERS,
        st.lists(INSPECT_DELAYS, min_size=1, max_size=8).map(tuple),
        st.lists(PLACES, max_size=3).map(tuple),
    )


def listed_histories() -> st.SearchStrategy[History]:
    """Return histories with a list at any moment."""
    list_timings = st.builds(ListTiming, PLACES, st.lists(LAGS, min_size=1, max_size=4).map(tuple), PLACES)
    return st.builds(
        lambda history, list_timing: replace(history, pauses=(), list_timing=list_timing),
        histories(),
        list_timings,
    )


def outages() -> st.SearchStrategy[Outage]:
    """Return outages of any length at any moment."""
    return st.builds(Outage, PLACES, PLACES)


def overrun_outages() -> st.SearchStrategy[Outage]:
    """Return outages during which the engine's event buffer may be overrun."""
    return st.builds(Outage, PLACES, PLACES, PLACES)
