"""The tables, as SQLAlchemy sees them; ``migrations`` makes them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, String, Table

# The revision that this version of the project writes. A test holds it to the newest migration.
REVISION = "0001"

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
    # What has happened in the run: [signal, time] of each kill request, [witness, time] of each OOM kill.
    Column("kills", JSON, nullable=False),
    Column("oom_witnesses", JSON, nullable=False),
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

# Alembic's own, which tells what migrations a database has had.
versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
