"""Tables of today's schema; ``migrations`` bring older databases to it."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
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
    event,
    text,
)

from exporter.store.exit_count_triggers import COMPLETED, EXIT_COUNT_TRIGGERS
from exporter.time_units import DAY_NS

# Revision of this schema: the newest migration, as a test checks.
REVISION = "0017"

# Tables of the first revision: a database with all of them is ours.
FIRST_TABLES = frozenset({"jobs", "series", "cursors", "pruned"})

# Few jobs run longer; those that ended recently are found among them, and among those that began recently.
LONG_RUN_NS = 3600 * 10**9
# In the words of their indexes: SQLite does not use them for any other.
RAN_LONG = text(f"finished_ns - began_ns > {LONG_RUN_NS}")
HAS_OOM_KILLS = text("oom_kills > 0")
IS_COMPLETED = text(" AND ".join(COMPLETED))
IS_FAILURE = text("status IN ('failed', 'unknown')")

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
    # [signal, time] of each kill request; [source, time] of each OOM kill, with the victim as third item if
    # it is known from the kernel log.
    Column("kills", JSON, nullable=False),
    Column("oom_witnesses", JSON, nullable=False),
    # Parent span given by the container's label, and the job's own span.
    Column("traceparent", String),
    Column("trace_id", String),
    Column("span_id", String),
    Column("parent_span_id", String),
    Column("log_tail", String),
    # Time of the engine's event, which can be seconds after the end. These columns are null in rows written
    # before they were added.
    Column("event_ns", BigInteger),
    Column("start_error", String),
    Column("oom_limit", String),
    Column("causes", JSON),
    Column("not_known", JSON),
    # The job that a supervisor made the container for, its id there, and the name that its submissions share.
    Column("supervised", JSON),
    Column("supervised_id", String),
    Column("supervised_job", String),
    # Which write made the row what it is, in the order of all writes; null in older rows.
    Column("change_number", BigInteger),
    # What the container ran on, and its image; null in older rows.
    Column("runtime", String),
    Column("image_id", String),
    Column("image_digests", JSON),
    # Those of the pages of jobs end with the pages' order.
    Index("jobs_newest", "began_ns", "id"),
    Index("jobs_by_status", "status", "began_ns", "id"),
    Index("jobs_by_reason", "reason", "began_ns", "id", sqlite_where=text("reason IS NOT NULL")),
    Index("jobs_by_code", "code", "began_ns", "id", sqlite_where=text("code IS NOT NULL")),
    Index("jobs_by_workload", "workload", "began_ns", "id"),
    Index("jobs_by_instance", "instance", "began_ns", "id"),
    Index(
        "jobs_by_supervised_id",
        "supervised_id",
        "began_ns",
        "id",
        sqlite_where=text("supervised_id IS NOT NULL"),
    ),
    Index("jobs_ran_long", "finished_ns", "began_ns", sqlite_where=RAN_LONG),
    # Reasons are counted from this index alone.
    Index("jobs_by_end", "finished_ns", "status", "reason", sqlite_where=text("finished_ns IS NOT NULL")),
    Index("jobs_failed_by_end", "finished_ns", "id", sqlite_where=IS_FAILURE),
    Index("jobs_of_container", "container_id", "attempt"),
    Index("jobs_by_name", "name", "began_ns"),
    # Those of the report have all columns that it reads.
    Index(
        "jobs_ended",
        "instance",
        "workload",
        "status",
        "reason",
        "code",
        "finished_ns",
        sqlite_where=text("finished_ns IS NOT NULL"),
    ),
    Index(
        "jobs_completed",
        "workload",
        "memory_limit_bytes",
        "finished_ns",
        "instance",
        sqlite_where=IS_COMPLETED,
    ),
    Index(
        "jobs_oom_killed",
        "workload",
        "memory_limit_bytes",
        "oom_limit",
        "finished_ns",
        "instance",
        "code",
        "started_ns",
        sqlite_where=HAS_OOM_KILLS,
    ),
    Index("jobs_by_supervised_job", "supervised_job", sqlite_where=text("supervised_job IS NOT NULL")),
    Index("jobs_by_change_number", "change_number"),
)

# What exits are counted by; triggers keep a row as long as there are counts of it.
exit_groups = Table(
    "exit_groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", BigInteger, nullable=False),
    Column("workload", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    # With the code first, two of a workload differ in their first bytes.
    UniqueConstraint("code", "workload", "status", "reason"),
)

# How many jobs that are on record ended in each hour and in each day, in UTC; triggers keep it so.
exit_counts = Table(
    "exit_counts",
    metadata,
    Column("period_ns", BigInteger, primary_key=True),
    Column("began_ns", BigInteger, primary_key=True),
    Column("group_id", Integer, primary_key=True),
    Column("exits", Integer, nullable=False),
    # Whether a group has counts: those of days are few.
    Index("exit_counts_by_group", "group_id", sqlite_where=text(f"period_ns = {DAY_NS}")),
    sqlite_with_rowid=False,
)

# Memory limits at which runs of a workload completed; triggers keep a row as long as there are counts of it.
completed_limits = Table(
    "completed_limits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workload", String, nullable=False),
    Column("memory_limit_bytes", BigInteger, nullable=False),
    UniqueConstraint("workload", "memory_limit_bytes"),
)

# How many jobs that are on record completed within a memory limit on each day, in UTC; triggers keep it so.
completed_counts = Table(
    "completed_counts",
    metadata,
    Column("month_ns", BigInteger, primary_key=True),
    Column("limit_id", Integer, primary_key=True),
    Column("began_ns", BigInteger, primary_key=True),
    Column("exits", Integer, nullable=False),
    sqlite_with_rowid=False,
)
for _trigger in EXIT_COUNT_TRIGGERS:
    event.listen(metadata, "after_create", DDL(_trigger))  # type: ignore[no-untyped-call]

# Runs of jobs as a supervisor's server reports them: also of jobs on other hosts, whose containers are on
# record elsewhere. Those whose run ``is_open`` are asked for again. ``seen_ns`` is when it was last reported.
submissions = Table(
    "submissions",
    metadata,
    Column("id", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("project", String, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("has_container", Boolean, nullable=False),
    Column("finished_ns", BigInteger),
    Column("seen_ns", BigInteger, nullable=False),
    Column("report", JSON, nullable=False),
)

# One row for each series of a counter; the metrics are loaded from it at start.
series = Table(
    "series",
    metadata,
    Column("name", String, primary_key=True),
    Column("labels", String, primary_key=True),
    Column("value", Float, nullable=False),
    # What scrapes are shown, where it is not the value.
    Column("shown", Float),
)

# One row: the longest interval of those who scrape, in seconds.
scrape_interval = Table(
    "scrape_interval",
    metadata,
    Column("once", Integer, primary_key=True),
    Column("seconds", Float, nullable=False),
)

# For each engine, the position in its events up to which everything is recorded.
cursors = Table(
    "cursors",
    metadata,
    Column("engine", String, primary_key=True),
    Column("event_ns", BigInteger, nullable=False),
    Column("floor_ns", BigInteger, nullable=False),
    Column("read_ns", BigInteger, nullable=False),
)

# One row: jobs of any engine that ended before this time may have been deleted.
pruned = Table(
    "pruned",
    metadata,
    Column("once", Integer, primary_key=True),
    Column("before_ns", BigInteger, nullable=False),
)

# For each engine that was read when jobs were deleted, the same time; of any other engine, that of all holds.
pruned_engines = Table(
    "pruned_engines",
    metadata,
    Column("engine", String, primary_key=True),
    Column("before_ns", BigInteger, nullable=False),
)

# One row for each job and signal that is still to be exported. ``kept_ns`` is when it was enqueued. A row
# that the collector rejected is a dead letter: it is ``aside``, with the cause in ``refused``.
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

# One row: the id of this exporter.
identity = Table(
    "identity",
    metadata,
    Column("once", Integer, primary_key=True),
    Column("instance_id", String, nullable=False),
)

# Alembic's own table: the revision of the database.
alembic_version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
