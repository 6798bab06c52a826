"""Names of attributes: those of OpenTelemetry's newest semantic conventions, or in a namespace of our own."""

import re
from pathlib import Path

from opentelemetry.semconv import schemas

from exporter.model import LimitOwner, OomKill, OomSource, OomVictim
from exporter.otlp.attributes import JOB_ATTRIBUTES
from exporter.otlp.encoding import SCHEMA_URL
from exporter.otlp.span_events import span_events
from tests.store.samples import OOM, ended, job

# dstack's names are those of its own API.
OWN_NAMESPACES = ("exit_exporter.", "dstack.")
DECLARED = re.compile(r'^[A-Z_]+: Final = "([^"]+)"(?!\n"""\nDeprecated)', re.MULTILINE)
VICTIM = OomVictim(LimitOwner.OWN, "/docker/a", "python", 4711, 1, ("java", 2))


def conventional_names() -> set[str]:
    """Return the attributes of the conventions that are not deprecated."""
    modules = Path(schemas.__file__).parent.glob("**/attributes/*_attributes.py")
    return {name for module in modules for name in DECLARED.findall(module.read_text())}


def sent_names() -> set[str]:
    """Return the attributes of spans, their events and log records."""
    killed = ended(job(oom_kills=(OomKill(OomSource.LOG, 1, VICTIM),)), 137, OOM)
    of_events = {name for event in span_events(killed) for name in event.attributes}
    return of_events | {attribute.name for attribute in JOB_ATTRIBUTES}


def test_the_table_of_conventions_knows_what_is_deprecated() -> None:
    names = conventional_names()
    assert "container.runtime.name" in names
    assert "container.runtime" not in names


def test_every_name_that_is_not_ours_is_conventional() -> None:
    foreign = {name for name in sent_names() if not name.startswith(OWN_NAMESPACES)}
    assert "container.id" in foreign
    assert foreign - conventional_names() == set()


def test_no_name_of_ours_is_a_conventional_one() -> None:
    assert [name for name in conventional_names() if name.startswith(OWN_NAMESPACES)] == []


def test_the_schema_is_that_of_the_conventions_that_are_installed() -> None:
    assert [*schemas.Schemas][-1].value == SCHEMA_URL
