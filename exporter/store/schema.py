"""The tables, as SQLAlchemy sees them; ``migrations`` makes them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

# The revision that this version of the project writes. A test holds it to the newest migration.
REVISION = "0004"

# The tables of the first revision: who has them is ours.
OLDEST = frozenset({"jobs", "series", "cursors", "pruned"})

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("container_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("instance", String, nullable=False),
    Column("engine", String, nullable=False),
    Column("workload", String, nullable=False),
    Column("image", String, nullable=False),
    Column("repository", String, nullable=False),
    Column("status", String, nullable=False),
    Column("code", BigInteger),
    Column("reason", String),
    Column("termination", String),
    Column("error", String),
    Column("recovery", String),
    Column("evidence", JSON, nullable=False),
    Column("oom_kills", Integer, nullable=False),
    Column("memory_limit_bytes", BigInteger),
    Column("began_ns", BigInteger, nullable=False),
    Column("created_ns", BigInteger),
    Column("started_ns", BigInteger),
    Column("finished_ns", BigInteger),
    Column("restarts", Integer),
    # What has happened in the run: [signal, time] of each kill request; of each OOM kill [witness, time], and
    # where the kernel's log tells of it, what it says of the victim.
    Column("kills", JSON, nullable=False),
    Column("oom_witnesses", JSON, nullable=False),
    # What its label says of the span that launched it, and the span that was made of it.
    Column("traceparent", String),
    Column("trace_id", String),
    Column("span_id", String),
    Column("parent_span_id", String),
    Column("log_tail", String),
    # When its end was told, which can be seconds after it. Null in rows older than these columns.
    Column("event_ns", BigInteger),
    Column("start_error", String),
    Column("oom_limit", String),
    Column("causes", JSON),
    Column("not_known", JSON),
    Index("jobs_newest", "began_ns", "id"),
    Index("jobs_of_container", "container_id", "attempt"),
    Index("jobs_by_status", "status", "began_ns"),
)

# One row for each series of a counter: the truth from which the metrics are loaded at start.
series = Table(
    "series",
    metadata,
    Column("name", String, primary_key=True),
    Column("labels", String, primary_key=True),
    Column("value", Float, nullable=False),
)

# Up to where everything that an engine has told is on record.
cursors = Table(
    "cursors",
    metadata,
    Column("engine", String, primary_key=True),
    Column("event_ns", BigInteger, nullable=False),
    Column("floor_ns", BigInteger, nullable=False),
    Column("read_ns", BigInteger, nullable=False),
)

# One row: of jobs that ended before then, there may be no record any more.
pruned = Table(
    "pruned",
    metadata,
    Column("once", Integer, primary_key=True),
    Column("before_ns", BigInteger, nullable=False),
)

# One row for each job and signal of which a collector is still to be told. What it will not take is set
# aside, with the cause.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("job_id", String, nullable=False),
    Column("signal", String, nullable=False),
    Column("kept_ns", BigInteger, nullable=False),
    Column("aside", Boolean, nullable=False),
    Column("refused", String),
    UniqueConstraint("job_id", "signal"),
    Index("outbox_waiting", "signal", "aside", "number"),
)

# One row: what tells this exporter from others.
identity = Table(
    "identity",
    metadata,
    Column("once", Integer, primary_key=True),
    Column("instance_id", String, nullable=False),
)

# Alembic's own, which tells what migrations a database has had.
versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
