"""The demo: a real engine, real jobs, and why each of them ended. `python -m tests.lab.demo`.

It runs until Ctrl-C, or for DEMO_SECONDS after the table, and removes what it created.
"""

import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from tests.lab.demo_engine import DemoEngine, find_engine
from tests.lab.errors import LabError
from tests.lab.exporter import DEFAULT_PORT, ExporterProcess, clean_environment
from tests.lab.jobs import DEMO_JOBS, LABEL, LabJob
from tests.lab.server import free_port
from tests.lab.wait import wait_until

ENDED_SECONDS = 90.0
EXPECTED_ERRORS = (LabError, DockerException, RequestException, OSError, subprocess.SubprocessError)


def main() -> int:
    """Run the demo; return 0 if Ctrl-C, SIGTERM, a hangup or DEMO_SECONDS ended it, otherwise 1."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    stack = ExitStack()
    try:
        _show(stack)
    except KeyboardInterrupt:
        say("ending")
    except EXPECTED_ERRORS as error:
        print(f"demo: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        _clean_up(stack)
    return 0


def say(text: str) -> None:
    """Print a progress message."""
    try:
        print(f"demo: {text}", flush=True)
    except OSError:
        # The terminal is gone, but everything that was started still has to be stopped.
        return


def _as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _clean_up(stack: ExitStack) -> None:
    # A second Ctrl-C would interrupt the cleanup; each step has a time limit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stack.close()


def _show(stack: ExitStack) -> None:
    seconds = _seconds()
    engine = find_engine(stack, say)
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="exit-demo-")))
    exporter = ExporterProcess(engine.url, directory, port=free_port(DEFAULT_PORT))
    stack.enter_context(exporter)
    say(f"exit-exporter is running at {exporter.url}")
    began = engine.time()
    names = _run_jobs(stack, engine)
    _await_ends(exporter, names)
    # The engine may be the user's, and have older containers.
    _print_table(exporter, "--since", began, "--until", engine.time())
    _print_addresses(exporter, seconds)
    _hold(exporter, seconds)


def _seconds() -> float | None:
    text = os.environ.get("DEMO_SECONDS", "")
    try:
        return float(text) if text else None
    except ValueError:
        raise LabError(f"DEMO_SECONDS is a number of seconds, not {text!r}") from None


def _run_jobs(stack: ExitStack, engine: DemoEngine) -> list[str]:
    """Run all jobs at the same time; return the names of their containers."""
    number = _free_number(engine.client)
    say(f"{len(DEMO_JOBS)} jobs are running; each ends in a different way")
    run = secrets.token_hex(8)
    # Before the first container is created: a Ctrl-C may come before its creation is confirmed.
    stack.callback(_remove_containers, engine.client, run)
    containers = [job.create(engine.client, f"{job.name}-{number}", run) for job in DEMO_JOBS]
    with ThreadPoolExecutor(len(DEMO_JOBS)) as pool:
        list(pool.map(LabJob.start, DEMO_JOBS, containers))
    return [str(container.name) for container in containers]


def _free_number(client: docker.DockerClient) -> int:
    """Return the first number with which all names are unused: the engine may be the user's."""
    taken = {name for container in client.api.containers(all=True) for name in container["Names"] or ()}
    number = 1
    while any(f"/{job.name}-{number}" in taken for job in DEMO_JOBS):
        number += 1
    return number


def _remove_containers(client: docker.DockerClient, run: str) -> None:
    for container in client.api.containers(all=True, filters={"label": f"{LABEL}={run}"}):
        try:
            client.api.remove_container(container["Id"], force=True, v=True)
        except NotFound:
            continue
        except (APIError, RequestException) as error:
            print(f"demo: cannot remove the container {container['Names']}: {error}", file=sys.stderr)


def _await_ends(exporter: ExporterProcess, names: list[str]) -> None:
    if not wait_until(lambda: not _not_ended(exporter, names), ENDED_SECONDS):
        missing = ", ".join(_not_ended(exporter, names))
        raise LabError(f"exit-exporter does not show the end of {missing}:\n{exporter.process.log_tail()}")


def _not_ended(exporter: ExporterProcess, names: list[str]) -> list[str]:
    if not exporter.process.alive:
        raise LabError(f"exit-exporter has ended:\n{exporter.process.log_tail()}")
    ended = {job["name"] for job in exporter.jobs() if job["status"] != "running"}
    return [name for name in names if name not in ended]


def _print_table(exporter: ExporterProcess, *span: str) -> None:
    # It inherits the terminal, and with it its width and colours.
    words = ["ps", "-v", *span]
    say(f"exit-exporter {' '.join(words)}")
    command = [sys.executable, "-m", "exporter", *words, "--url", exporter.url]
    subprocess.run(command, check=True, env=clean_environment())


def _print_addresses(exporter: ExporterProcess, seconds: float | None) -> None:
    end = "Ctrl-C ends it" if seconds is None else f"ends by itself in {seconds:g} s, or with Ctrl-C"
    paths = ("/metrics", "/api/v1/jobs", "/openapi.json")
    print("\n".join(["", *(f"  {exporter.url}{path}" for path in paths), ""]), flush=True)
    say(end)


def _hold(exporter: ExporterProcess, seconds: float | None) -> None:
    """Wait for the given time, or for ever; raise `LabError` if the exporter ends during it."""
    if wait_until(lambda: not exporter.process.alive, math.inf if seconds is None else seconds):
        raise LabError(f"exit-exporter has ended:\n{exporter.process.log_tail()}")


if __name__ == "__main__":
    sys.exit(main())
