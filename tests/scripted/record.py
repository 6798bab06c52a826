"""Make the recordings again from a real engine: `python -m tests.scripted.record DOCKER_HOST [NAME…]`.

The engine must be a local one (one job is killed from the host) and should be a private one: jobs are run
on it, and removed again. Nothing is pulled: the image is made of the host's own static busybox.
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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from tests.scripted.answers import record_answers
from tests.scripted.recording import DIRECTORY, container_of
from tests.scripted.scenarios import SCENARIOS, SETTLE_SECONDS, Scenario

IMAGE = "scripted-job:1"
APPLETS = ("dd", "sh", "sleep")
INSPECTED = ("create", "start", "die", "rename", "destroy")
QUIET_SECONDS = 1.0
ENTRY_POINT = slice(24, 32)
"""Where a 64-bit ELF header keeps the address that the program starts at."""

KEPT: Mapping[str, tuple[str, ...]] = {
    "Id": (),
    "Name": (),
    "Created": (),
    "Image": (),
    "RestartCount": (),
    "State": (),
    "Config": ("Image", "Labels", "StopSignal"),
    "HostConfig": ("Memory", "AutoRemove", "RestartPolicy"),
}
"""The keys of an inspect answer that a watcher may need, and of some the keys within; the rest is dropped."""


class Observer(threading.Thread):
    """Reads the event stream and inspects at once, as a watcher does; keeps what it saw, in order."""

    def __init__(self, docker_host: str) -> None:
        super().__init__(daemon=True)
        self._client = APIClient(base_url=docker_host, version="auto")
        base = f"{self._client.base_url}/v{self._client.api_version}"
        self._stream = self._client.get(f"{base}/events", stream=True, timeout=None)
        self._seen: list[dict[str, Any]] = []
        self._last = time.monotonic()

    def run(self) -> None:
        """Read until the process ends."""
        for line in self._stream.iter_lines(chunk_size=None):
            self._observe(json.loads(line))
            self._last = time.monotonic()

    def quiet_for(self) -> float:
        """Tell for how many seconds the engine has said nothing."""
        return time.monotonic() - self._last

    def lines_about(self, container: str) -> list[dict[str, Any]]:
        """Give what was seen of one container, as the lines of a recording."""
        return [entry["line"] for entry in list(self._seen) if entry["container"] == container]

    def _observe(self, event: dict[str, Any]) -> None:
        container = container_of(event)
        self._seen.append({"container": container, "line": {"event": event}})
        if is_moment_to_inspect(event):
            line = {"inspect": inspect(self._client, container), "after": event["Action"]}
            self._seen.append({"container": container, "line": line})


def is_moment_to_inspect(event: Mapping[str, Any]) -> bool:
    """Say whether an observer inspects on this event."""
    if event["Type"] == "network":
        return bool(event["Action"] == "disconnect")
    return bool(event["Type"] == "container" and event["Action"] in INSPECTED)


def inspect(client: APIClient, container: str) -> dict[str, Any] | None:
    """Give the trimmed answer to an inspect, or None where the container is gone."""
    try:
        return trimmed(client.inspect_container(container))
    except NotFound:
        return None


def trimmed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what a watcher does not need, above all every path of the machine."""
    return {key: only(answer[key], within) for key, within in KEPT.items() if key in answer}


def only(value: Any, keys: tuple[str, ...]) -> Any:
    """Give the value with these of its keys, or as it is where none are named."""
    return {key: value[key] for key in keys if key in value} if keys else value


def root_filesystem() -> bytes:
    """Pack a root filesystem of busybox, a program that segfaults, and a file that is not executable."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        add_file(tar, "bin/busybox", busybox, 0o755)
        add_file(tar, "bin/segfault", starting_nowhere(busybox), 0o755)
        add_file(tar, "etc/not-executable", b"#!/bin/sh\n", 0o644)
        for applet in APPLETS:
            add_link(tar, f"bin/{applet}", "busybox")
    return packed.getvalue()


def starting_nowhere(program: bytes) -> bytes:
    """Give the 64-bit ELF program with an entry point at address 0, where nothing is mapped."""
    broken = bytearray(program)
    broken[ENTRY_POINT] = bytes(8)
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


def record(client: APIClient, observer: Observer, name: str, scenario: Scenario) -> list[dict[str, Any]]:
    """Run one job to its end, and give all that an observer saw of it."""
    container = create(client, name, scenario)
    start_and_act(client, container, scenario)
    while is_alive(client, container) or observer.quiet_for() < QUIET_SECONDS:
        time.sleep(0.1)
    lines = observer.lines_about(container)
    remove_if_there(client, container)
    return lines


def create(client: APIClient, name: str, scenario: Scenario) -> str:
    """Create the job's container and give its id."""
    host_config = client.create_host_config(network_mode="none", **scenario.host)
    created = client.create_container(
        IMAGE,
        list(scenario.command),
        name=name.replace("_", "-"),
        labels=dict(scenario.labels),
        host_config=host_config,
    )
    return str(created["Id"])


def start_and_act(client: APIClient, container: str, scenario: Scenario) -> None:
    """Start the job, and do to it what the scenario says."""
    try:
        client.start(container)
    except APIError as refusal:
        print(f"  not started: {refusal.explanation}", file=sys.stderr)  # noqa: T201 - a command speaks
        return
    if scenario.act is not None:
        time.sleep(SETTLE_SECONDS)
        scenario.act(client, container)


def is_alive(client: APIClient, container: str) -> bool:
    """Say whether the job runs, or will run again."""
    answer = inspect(client, container)
    return answer is not None and answer["State"]["Status"] in {"running", "restarting", "removing"}


def remove_if_there(client: APIClient, container: str) -> None:
    """Remove the container, unless it is gone already."""
    try:
        client.remove_container(container, force=True)
    except NotFound:
        return


def write(name: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write one recording."""
    text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    (DIRECTORY / f"{name}.jsonl").write_text(text, encoding="utf-8")


def note(readme: Path, names: Iterable[str], origin: str) -> None:
    """Write into the README's table what each recording was made from; other rows stay as they are."""
    text = readme.read_text(encoding="utf-8")
    rows = dict(rows_of(text))
    rows.update({name: f"| `{name}` | {SCENARIOS[name].fact} | {origin} |" for name in names})
    table = "\n".join(rows[name] for name in sorted(rows))
    start, end = "| --- | --- | --- |\n", "\n\n<!-- end of the recordings -->"
    before, after = text.partition(start)[0], text.partition(end)[2]
    readme.write_text(f"{before}{start}{table}{end}{after}", encoding="utf-8")


def rows_of(readme: str) -> Iterator[tuple[str, str]]:
    """Give name and row of each recording in the README's table."""
    for row in re.finditer(r"^\| `(\w+)` \|.*$", readme, re.MULTILINE):
        yield row[1], row[0]


def origin_of(client: APIClient) -> str:
    """Say in a few words which engine this is."""
    about = client.info()
    return (
        f"Docker Engine {about['ServerVersion']}, API {client.api_version}, "
        f"cgroup v{about.get('CgroupVersion', '1')}, Linux {about['KernelVersion'].split('-')[0]}"
    )


def arguments_of(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scripted.record", description=__doc__)
    parser.add_argument("docker_host", metavar="DOCKER_HOST", help="a private engine: unix:///…")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which scenarios; default: all")
    chosen = parser.parse_args(words)
    if unknown := set(chosen.names) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return chosen


def main(words: list[str] | None = None) -> int:
    """Record the named scenarios, or all, and give the command's exit code."""
    chosen = arguments_of(words)
    client = APIClient(base_url=chosen.docker_host, version="auto")
    client.import_image_from_data(root_filesystem(), *IMAGE.split(":"))
    observer = Observer(chosen.docker_host)
    observer.start()
    record_answers(client)
    names = chosen.names or list(SCENARIOS)
    for name in names:
        print(name, file=sys.stderr)  # noqa: T201 - a command speaks
        write(name, record(client, observer, name, SCENARIOS[name]))
    note(DIRECTORY / "README.md", names, origin_of(client))
    return 0


if __name__ == "__main__":
    sys.exit(main())
