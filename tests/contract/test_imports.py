"""Libraries that cost memory and time are imported by those alone who use them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.cli.other_servers import NOBODY
from tests.lab.exporter import ExporterProcess
from tests.scripted.engine import ScriptedEngine

REPORT_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
OF_THE_DAEMON = {
    "alembic",  # only an older database is migrated
    "chardet.detector",  # every text that is read is UTF-8
    "charset_normalizer.api",
    "exporter.web.page.rendering",  # only who opens a page needs templates
    "exporter.sources.dstack.answers",  # only who has dstack's server reads its answers
    "exporter.otlp.encoding",  # only who sends traces encodes them
    "grpc",  # traces go over HTTP unless somebody asks for gRPC
    "jinja2",
    "opentelemetry",
    "paramiko.client",  # only engines over ssh
    "re2",  # only a pattern to redact
    "rich.console",  # only the other commands print tables
}
OF_NO_COMMAND = {
    "alembic",
    "asyncio",
    "docker",
    "exporter.app",
    "exporter.config.settings",
    "exporter.sources",
    "exporter.store",
    "exporter.web",
    "pydantic",
    "requests",
    "sqlalchemy",
    "starlette",
    "structlog",
    "yaml",
}

# Each takes a fifth of the time of a command.
OF_NO_PIPED_LIST = OF_NO_COMMAND | {"exporter.model", "rich.console", "rich.table"}


def imported(log: str) -> set[str]:
    """Return the modules that Python says it has imported or tried to, and their outermost packages."""
    lines = [line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")]
    return {name for line in lines for name in (line, line.partition(".")[0])}


@pytest.mark.parametrize(
    ("words", "unused"),
    [("ps", OF_NO_PIPED_LIST), ("show nightly", OF_NO_COMMAND), ("report", OF_NO_COMMAND)],
    ids=["ps", "show", "report"],
)
def test_a_command_imports_nothing_of_the_daemon(words: str, unused: set[str]) -> None:
    done = run(*words.split(), "--url", NOBODY, **REPORT_IMPORTS)
    assert f"no exit-exporter answers at {NOBODY}" in done.err
    assert "exporter.cli.client" in imported(done.err)
    assert imported(done.err) & unused == set()


@pytest.mark.parametrize(
    ("variables", "used"),
    [({}, set()), ({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, {"opentelemetry", "exporter.otlp.encoding"})],
    ids=["alone", "with traces over HTTP"],
)
def test_a_daemon_imports_nothing_that_it_does_not_use(
    tmp_path: Path, variables: dict[str, str], used: set[str]
) -> None:
    with (
        ScriptedEngine(tmp_path) as engine,
        ExporterProcess(engine.url, tmp_path, environment={**REPORT_IMPORTS, **variables}) as exporter,
    ):
        log = exporter.log_path.read_text()
    assert "exporter.app" in imported(log)
    assert imported(log) & OF_THE_DAEMON == used


COUNT_COLLECTIONS = """
import gc
from exporter.cli import command
collections = []
gc.callbacks.append(lambda *collection: collections.append(collection))
command("serve")
print(len(collections))
"""


def test_no_garbage_is_looked_for_among_modules() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_COLLECTIONS], capture_output=True, check=True)
    assert int(done.stdout) == 0
