"""Any job and any exit, as Hypothesis makes them up."""

from hypothesis import strategies as st

from exporter.model import (
    ClassifiedExit,
    Evidence,
    Exit,
    Job,
    LimitOwner,
    OomKill,
    OomSource,
    OomVictim,
    Recovery,
    Status,
    Termination,
    Trace,
    Verdict,
    Workload,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.integers(min_value=0, max_value=2**63 - 1)
SENTENCES = st.lists(TEXTS, max_size=3).map(tuple)
VICTIMS = st.builds(
    OomVictim,
    st.none() | st.sampled_from(LimitOwner),
    TEXTS,
    TEXTS,
    TIMES,
    st.none() | TIMES,
    st.none() | st.tuples(TEXTS, TIMES),
)
OOM_KILLS = st.builds(OomKill, st.sampled_from(OomSource), st.none() | TIMES, st.none() | VICTIMS)
JOBS = st.builds(
    Job,
    container_id=st.text("0123456789abcdef", min_size=64, max_size=64),
    attempt=st.integers(1, 2**31),
    name=TEXTS,
    instance=TEXTS,
    workload=st.builds(Workload, TEXTS, TEXTS),
    image=TEXTS,
    start_event_ns=TIMES,
    engine=TEXTS,
    created_ns=st.none() | TIMES,
    started_ns=st.none() | TIMES,
    memory_limit_bytes=st.none() | TIMES,
    traceparent=TEXTS,
    runtime=TEXTS,
    image_id=TEXTS,
    image_digests=SENTENCES,
    key=st.just("") | st.from_regex(r"[a-z][-a-z0-9]{0,9}", fullmatch=True),
    oom_kills=st.lists(OOM_KILLS, max_size=2).map(tuple),
    notes=SENTENCES,
)
ENDS = st.builds(
    ClassifiedExit,
    st.builds(
        Exit,
        JOBS,
        st.none() | st.integers(0, 2**32 - 1),
        TIMES,
        st.builds(
            Evidence,
            start_error=TEXTS,
            limit=st.none() | st.sampled_from(LimitOwner),
            notes=SENTENCES,
            causes=SENTENCES,
            not_known=SENTENCES,
        ),
        st.integers(0, 2**31),
        log_tail=st.none() | TEXTS,
        event_ns=st.none() | TIMES,
    ),
    st.builds(
        Verdict,
        st.sampled_from([status for status in Status if status is not Status.RUNNING]),
        st.sampled_from(Termination),
        TEXTS,
        st.sampled_from(Recovery),
        st.none() | TEXTS,
    ),
    st.none() | st.builds(Trace, TEXTS.filter(bool), TEXTS, st.none() | TEXTS),
)
