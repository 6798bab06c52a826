"""Record scenarios on a real engine: `python -m tests.scripted.record ENGINE [NAME…]`.

ENGINE is a kind of engine that the lab can have (`docker-20.10`, `docker-29`), which is started for it, or
the URL of one. That one must be local (one job is killed from the host, and the kernel is listened to) and
should be private: jobs are run on it, and removed again. Nothing is pulled: the image is made of the host's
own static busybox.
"""

import argparse
import io
import json
import re
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import APIClient, DockerClient
from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from tests.lab.images import PYTHON, import_python
from tests.lab.kinds import KINDS, new_engine
from tests.scripted.answers import answers_file, record_answers
from tests.scripted.deaths import SCENARIOS
from tests.scripted.record_kernel import KernelObserver, Line, booted_ns, foreign_kills, without_others
from tests.scripted.recording import DIRECTORY, container_of
from tests.scripted.scenarios import SETTLE_SECONDS, Scenario
from tests.scripted.surroundings import networks, shared_limit

IMAGE = "scripted-job:1"
APPLETS = ("dd", "false", "sh", "sleep")
LOG_LINES = 25
KERNEL = "kernel"
"""Instead of a container's id, for lines of the kernel."""
LOCAL = "unix://"
INSPECTED = (
    "create",
    "start",
    "die",
    "rename",
    "update",
    "health_status: unhealthy",
    "health_status: healthy",
    "destroy",
)
UNASKED = ("exec_", "attach")
"""Prefixes of the actions that the exporter does not request."""

NO_RUNTIME = ("--add-runtime", "missing=/no/such/runtime")
QUIET_SECONDS = 1.0
TRIES = 5
"""Attempts at a recording: OOM kills of other processes spoil it."""

MACHINE = slice(18, 20)
"""Offset of the architecture in an ELF header."""

NO_MACHINE = b"\xff\xff"
ENTRY_POINT = slice(24, 32)
"""Offset of the entry point in a 64-bit ELF header."""

LAB = re.compile(r"/\S*?/exit-lab-\w+")
"""Directory of a private engine, in its messages."""

KEPT: Mapping[str, tuple[str, ...]] = {
    "Id": (),
    "Name": (),
    "Created": (),
    "Image": (),
    "RestartCount": (),
    "State": (),
    "Config": ("Image", "Labels", "StopSignal", "StopTimeout"),
    "HostConfig": (
        "Memory",
        "AutoRemove",
        "RestartPolicy",
        "CgroupParent",
        "OomKillDisable",
        "PidsLimit",
    ),
}
"""Keys of an inspect answer to keep, and for some of them the keys inside; the rest is dropped."""


class Observer(threading.Thread):
    """Reads the event stream and inspects at once, like the exporter; keeps all lines in order."""

    def __init__(self, docker_host: str) -> None:
        super().__init__(daemon=True)
        self._client = APIClient(base_url=docker_host, version="auto")
        base = f"{self._client.base_url}/v{self._client.api_version}"
        self._stream = self._client.get(f"{base}/events", stream=True, timeout=None)
        self._seen: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self._last = time.monotonic()
        self._ended = False
        self._kernel = KernelObserver(self._hear_kernel)
        self._kernel.start()

    def run(self) -> None:
        """Read until the engine ends, which must be after all is recorded."""
        try:
            for line in self._stream.iter_lines(chunk_size=None):
                self._observe(json.loads(line))
                self._last = time.monotonic()
        except RequestException:
            if not self._ended:
                raise

    def quiet_for(self) -> float:
        """Return the seconds since the last message of the engine."""
        return time.monotonic() - self._last

    def seen(self) -> int:
        """Return the number of lines so far."""
        return len(self._seen)

    def lines_about(self, containers: Iterable[str], since: int) -> list[Line]:
        """Return the lines about these containers and of the kernel."""
        wanted = {KERNEL, *containers}
        return in_time([entry["line"] for entry in self._seen[since:] if entry["container"] in wanted])

    def end(self) -> None:
        """Stop reading the kernel, and accept the end of the engine."""
        self._ended = True
        self._kernel.end()

    def _observe(self, event: dict[str, Any]) -> None:
        if event["Action"].startswith(UNASKED):
            return
        container = container_of(event)
        lines: list[dict[str, Any]] = [{"event": event}]
        if event["Type"] == "container":
            self._name_of(container, event)
        if is_moment_to_inspect(event):
            lines.append({"inspect": inspect(self._client, container), "after": event["Action"]})
        if event["Type"] == "container" and event["Action"] == "die":
            written = log_tail(self._client, container)
            # A renamed container has its first name in the corpus.
            lines += [] if written is None else [{"log": written, "of": self._name_of(container, event)}]
        self._seen += [{"container": container, "line": line} for line in lines]

    def _name_of(self, container: str, event: Mapping[str, Any]) -> str:
        return self._names.setdefault(container, event["Actor"]["Attributes"]["name"])

    def _hear_kernel(self, lines: Iterable[dict[str, Any]]) -> None:
        self._seen += [{"container": KERNEL, "line": line} for line in lines]


def in_time(lines: Sequence[Line]) -> list[Line]:
    """Put the lines of the kernel between the events by their time: the observer may have been waiting."""
    told = [line for line in lines if not is_of_kernel(line)]
    said = [line for line in lines if is_of_kernel(line)]
    ordered: list[Line] = []
    for line in told:
        if "event" in line:
            earlier = [each for each in said if each["at_ns"] < line["event"]["timeNano"]]
            said = said[len(earlier) :]
            ordered += earlier
        ordered.append(line)
    return [*ordered, *said]


def is_of_kernel(line: Line) -> bool:
    """Return whether a line is of the kernel."""
    return "kmsg" in line or "counted" in line


def is_moment_to_inspect(event: Mapping[str, Any]) -> bool:
    """Return whether the observer inspects at this event."""
    if event["Type"] == "network":
        return bool(event["Action"] == "disconnect")
    return bool(event["Type"] == "container" and event["Action"] in INSPECTED)


def inspect(client: APIClient, container: str) -> dict[str, Any] | None:
    """Return the trimmed answer to an inspect, or None if the container is removed."""
    try:
        return trimmed(client.inspect_container(container))
    except NotFound:
        return None


def log_tail(client: APIClient, container: str) -> str | None:
    """Return the last lines of the log, or None if the container is removed."""
    try:
        written: bytes = client.logs(container, tail=LOG_LINES)
    except APIError:
        # 404, or 409 while it is being removed.
        return None
    return written.decode(errors="replace")


def trimmed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer without what the exporter does not need, above all without paths of the machine."""
    kept = {key: only(answer[key], within) for key, within in KEPT.items() if key in answer}
    kept["State"] = {**kept["State"], "Error": LAB.sub("/engine", kept["State"].get("Error", ""))}
    return kept


def only(value: Any, keys: tuple[str, ...]) -> Any:
    """Return the value with these keys only, or unchanged if none are given."""
    return {key: value[key] for key in keys if key in value} if keys else value


def root_filesystem() -> bytes:
    """Pack a root filesystem of busybox, and of programs that cannot be executed or that segfault."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        add_file(tar, "bin/busybox", busybox, 0o755)
        add_file(tar, "bin/segfault", starting_nowhere(busybox), 0o755)
        add_file(tar, "bin/foreign", for_no_machine(busybox), 0o755)
        add_file(tar, "bin/crlf", b"#!/bin/sh\r\nexit 0\r\n", 0o755)
        add_file(tar, "etc/not-executable", b"#!/bin/sh\n", 0o644)
        for applet in APPLETS:
            add_link(tar, f"bin/{applet}", "busybox")
    return packed.getvalue()


def starting_nowhere(program: bytes) -> bytes:
    """Return the 64-bit ELF program with entry point 0, where nothing is mapped."""
    broken = bytearray(program)
    broken[ENTRY_POINT] = bytes(8)
    return bytes(broken)


def for_no_machine(program: bytes) -> bytes:
    """Return the ELF program with an architecture that does not exist."""
    broken = bytearray(program)
    broken[MACHINE] = NO_MACHINE
    return bytes(broken)


def add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    """Add a file to the archive."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    """Add a symbolic link to the archive."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)


def record(client: APIClient, observer: Observer, name: str, scenario: Scenario) -> list[Line]:
    """Run the jobs to their ends and return the lines about them; repeat it if others were killed."""
    for _ in range(TRIES):
        lines, containers = record_once(client, observer, name, scenario)
        others = foreign_kills(lines, containers)
        if not others:
            return lines
        say(f"  not alone: {', '.join(others)}")
    raise SystemExit(f"{name}: others on this machine are killed for memory all the time")


def record_once(
    client: APIClient, observer: Observer, name: str, scenario: Scenario
) -> tuple[list[Line], list[str]]:
    """Run the jobs to their ends; return the lines about them, and their containers."""
    since = observer.seen()
    # The kernel is being read, and has reported nothing yet.
    silence = {"counted": 0, "at_ns": time.time_ns()}
    with shared_limit(scenario.shared_memory), networks(client, scenario.networks) as joined:
        jobs = {name: scenario, **scenario.others}
        containers = [create(client, each, job, joined) for each, job in jobs.items()]
        for container, job in zip(containers, jobs.values(), strict=True):
            for _ in range(job.starts):
                start_and_act(client, container, job)
                if job.starts > 1:
                    await_end(client, observer, [container])
        await_end(client, observer, containers)
        lines = observer.lines_about(containers, since)
        for container in containers:
            remove_if_there(client, container)
    return [silence, *without_others(lines, containers)], containers


def await_end(client: APIClient, observer: Observer, containers: list[str]) -> None:
    """Return when these jobs have ended and the engine is silent."""
    while any(is_alive(client, each) for each in containers):
        time.sleep(0.1)
    # Messages about the end may be on their way.
    time.sleep(QUIET_SECONDS)
    while observer.quiet_for() < QUIET_SECONDS:
        time.sleep(0.1)


def create(client: APIClient, name: str, scenario: Scenario, joined: Sequence[str]) -> str:
    """Create the job's container in these networks, and return its id."""
    first, *more = joined or ("none",)
    host_config = client.create_host_config(network_mode=first, **scenario.host)
    created = client.create_container(
        PYTHON if scenario.needs_python else IMAGE,
        list(scenario.command),
        name=name.replace("_", "-"),
        labels=dict(scenario.labels),
        host_config=host_config,
        **scenario.config,
    )
    for network in more:
        client.connect_container_to_network(created["Id"], network)
    return str(created["Id"])


def start_and_act(client: APIClient, container: str, scenario: Scenario) -> None:
    """Start the job, and perform the action of the scenario."""
    try:
        client.start(container)
    except APIError as refusal:
        say(f"  not started: {refusal.explanation}")
        return
    if scenario.act is not None:
        time.sleep(SETTLE_SECONDS)
        scenario.act(client, container)


def is_alive(client: APIClient, container: str) -> bool:
    """Return whether the job runs, or will run again."""
    answer = inspect(client, container)
    return answer is not None and answer["State"]["Status"] in {"running", "restarting", "removing"}


def remove_if_there(client: APIClient, container: str) -> None:
    """Remove the container, if it exists."""
    try:
        client.remove_container(container, force=True)
    except NotFound:
        return


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr)  # noqa: T201 - a command speaks


def write(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write one recording. Its truth is kept; that of a new recording must be written by hand."""
    head = json.loads(file.read_text(encoding="utf-8").partition("\n")[0]) if file.exists() else {"truth": {}}
    head["booted_ns"] = booted_ns()
    text = "".join(
        json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in (head, *lines)
    )
    file.write_text(text, encoding="utf-8")


def note(readme: Path, names: Iterable[str], origin: str) -> None:
    """Write the origin of each recording into the README's table; other rows stay."""
    text = readme.read_text(encoding="utf-8")
    rows = dict(rows_of(text))
    rows.update({name: f"| `{name}` | {SCENARIOS[name].fact} | {origin} |" for name in names})
    table = "\n".join(rows[name] for name in sorted(rows))
    start, end = "| --- | --- | --- |\n", "\n\n<!-- end of the recordings -->"
    before, after = text.partition(start)[0], text.partition(end)[2]
    readme.write_text(f"{before}{start}{table}{end}{after}", encoding="utf-8")


def rows_of(readme: str) -> Iterator[tuple[str, str]]:
    """Return name and row of each recording in the README's table."""
    for row in re.finditer(r"^\| `(\w+)` \|.*$", readme, re.MULTILINE):
        yield row[1], row[0]


def origin_of(client: APIClient) -> str:
    """Return a short description of the engine."""
    about = client.info()
    return (
        f"Docker Engine {about['ServerVersion']}, API {client.api_version}, "
        f"cgroup v{about.get('CgroupVersion', '1')}, Linux {about['KernelVersion'].split('-')[0]}"
    )


def arguments_of(words: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scripted.record", description=__doc__)
    parser.add_argument("engine", metavar="ENGINE", help=f"{', '.join(KINDS)}, or a private one: unix:///…")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which scenarios; default: all")
    parser.add_argument("--into", type=Path, metavar="DIRECTORY", default=DIRECTORY, help="where they go")
    chosen = parser.parse_intermixed_args(words)
    if unknown := set(chosen.names) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    if chosen.engine not in KINDS and not chosen.engine.startswith(LOCAL):
        parser.error(f"neither a kind of engine nor the URL of a local one: {chosen.engine}")
    return chosen


@contextmanager
def running(engine: str) -> Iterator[str]:
    """Yield the URL of a new engine of this kind, or the URL that was given."""
    if engine.startswith(LOCAL):
        yield engine
        return
    with new_engine(engine, NO_RUNTIME) as private:
        yield private.url


def main(words: list[str] | None = None) -> int:
    """Record the named scenarios, or all; return the exit code."""
    chosen = arguments_of(words)
    with running(chosen.engine) as url:
        record_all(url, chosen.names or list(SCENARIOS), chosen.into)
    return 0


def record_all(url: str, names: list[str], directory: Path) -> None:
    """Record these scenarios, and the answers that need no container."""
    client = APIClient(base_url=url, version="auto")
    client.import_image_from_data(root_filesystem(), *IMAGE.split(":"))
    if any(SCENARIOS[name].needs_python for name in names):
        import_python(DockerClient(url))
    observer = Observer(url)
    observer.start()
    record_answers(client, answers_file(client.api_version))
    directory.mkdir(exist_ok=True)
    try:
        for name in names:
            say(name)
            write(directory / f"{name}.jsonl", record(client, observer, name, SCENARIOS[name]))
    finally:
        observer.end()
    if (readme := directory / "README.md").exists():
        note(readme, names, origin_of(client))


if __name__ == "__main__":
    sys.exit(main())
