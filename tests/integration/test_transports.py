"""A real engine, watched over every transport: TCP with TLS, both kinds of ssh, contexts, unix sockets."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.integration import faces
from tests.integration.ends import HUNGRY_WHEN_TOLD, MEBIBYTE
from tests.integration.keys import LOOPBACK, Authority
from tests.integration.sshd import Sshd, children_of, ensure_ssh
from tests.lab.dstack_stand_in import Shared, StandIn, wait_at
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.install import ensure_dockerd
from tests.lab.process import system_path
from tests.lab.server import free_port
from tests.lab.wait import wait_until

SECONDS = 60
PATIENCE_SECONDS = 8.0
"""Less than the ten seconds that a request may take, and that ``docker stop`` waits."""

MORE_THAN_SSHD_ALLOWS_CHANNELS = 12
AT_ONCE = 4
NOT_HEARD_OF = "the engine has not answered yet"
FOREIGN_VARIABLES = (
    "CURL_CA_BUNDLE",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "REQUESTS_CA_BUNDLE",
    "SSH_AUTH_SOCK",
)


@dataclass(frozen=True, slots=True)
class Way:
    """How an exporter is told where its engine is: by ``--docker.host``, other flags, and its environment."""

    host: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str | Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Directories with ca.pem, cert.pem and key.pem: of the engine, of its client, and of others."""

    authority: Authority
    engine: Path
    client: Path
    strangers: Path
    """Of another authority altogether."""
    impostors: Path
    """Trusts the engine, but is not vouched for by whom the engine trusts."""


@dataclass(frozen=True, slots=True)
class Tls:
    """A private engine that also listens on TCP, for those with a certificate."""

    engine: PrivateEngine
    client: docker.DockerClient
    url: str
    certificates: Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")
    authority, other = Authority.create("the engine's"), Authority.create("another")
    certificates = Certificates(
        authority,
        engine=authority.equip_server(directory / "engine"),
        client=authority.equip_client(directory / "client"),
        strangers=other.equip_client(directory / "strangers"),
        impostors=other.equip_client(directory / "impostors"),
    )
    shutil.copy(certificates.client / "ca.pem", certificates.impostors / "ca.pem")
    return certificates


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> Iterator[Tls]:
    ensure_dockerd()
    url = f"tcp://{LOOPBACK}:{free_port()}"
    of_engine = certificates.engine
    secured: list[str | Path] = ["--tlsverify", "--tlscacert", of_engine / "ca.pem"]
    secured += ["--tlscert", of_engine / "cert.pem", "--tlskey", of_engine / "key.pem"]
    with PrivateEngine(hosts=[url], extra_args=secured) as engine:
        client = engine.client()
        import_busybox(client)
        yield Tls(engine, client, url, certificates)


@pytest.fixture(scope="module")
def sshd(tls: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    ensure_ssh()
    with Sshd(tmp_path_factory.mktemp("sshd"), tls.engine.url) as running:
        yield running


@pytest.fixture
def containers(tls: Tls) -> Iterator[Callable[..., Container]]:
    """Creates containers on the engine; what was created goes with the test."""
    made: list[Container] = []

    def create(name: str, script: str, **settings: Any) -> Container:
        command = ["sh", "-c", script]
        made.append(
            tls.client.containers.create(BUSYBOX, command, name=name, network_mode="none", **settings)
        )
        return made[-1]

    yield create
    for container in made:
        container.remove(force=True)


def ways(tls: Tls, request: pytest.FixtureRequest) -> dict[str, Callable[[], Way]]:
    """Every way to the engine that is more than another name for one of these."""
    return {
        "TLS": lambda: Way(tls.url, ("--docker.cert-path", str(tls.certificates.client))),
        "ssh": lambda: by_ssh(request.getfixturevalue("sshd")),
        "paramiko": lambda: by_paramiko(request.getfixturevalue("sshd")),
    }


def by_ssh(sshd: Sshd) -> Way:
    """By the ssh that is first on PATH."""
    path = os.pathsep.join([str(sshd.programs), os.environ["PATH"]])
    return Way(sshd.url, environment={"HOME": sshd.home, "PATH": path})


def by_paramiko(sshd: Sshd) -> Way:
    """By paramiko, as where no ssh is on PATH."""
    return Way(sshd.url, environment={"HOME": sshd.home, "PATH": sshd.home})


SSH_CLIENTS = pytest.mark.parametrize("by", [by_ssh, by_paramiko], ids=["ssh", "paramiko"])


def also(hosts: list[str]) -> tuple[str, ...]:
    """The flags for further hosts."""
    return tuple(word for host in hosts for word in ("--docker.host", host))


@contextmanager
def started(way: Way, directory: Path) -> Iterator[ExporterProcess]:
    """An exporter that has just been started, in an environment without anything of the user's."""
    exporter = ExporterProcess(way.host, directory, arguments=way.arguments)
    with pytest.MonkeyPatch.context() as patch:
        for name in FOREIGN_VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(directory))
        for name, value in way.environment.items():
            patch.setenv(name, str(value))
        exporter.start()
    try:
        yield exporter
    finally:
        exporter.stop()


@contextmanager
def watching(way: Way, directory: Path) -> Iterator[ExporterProcess]:
    """An exporter that is ready."""
    with started(way, directory) as exporter:
        exporter.await_ready()
        yield exporter


def ends(exporter: ExporterProcess) -> dict[str, tuple[str, int | None, str | None, int]]:
    """What is said of every job that is over: its status, code, reason, and how often it met an OOM kill."""
    return {
        job["name"]: (job["status"], job["container_exit_code"], job["reason"], job["oom_kills"])
        for job in exporter.jobs()
        if job["status"] != "running"
    }


def await_ends(exporter: ExporterProcess, *names: str) -> None:
    """Wait until the end of each is shown."""
    if not wait_until(lambda: ends(exporter).keys() >= set(names), SECONDS):
        pytest.fail(f"{names} not all in {ends(exporter)}:\n{exporter.log_path.read_text()}")


def causes(exporter: ExporterProcess, expected: Sequence[str] = ()) -> list[str]:
    """Why it is not ready, once every engine was tried.

    Where it is known what is ``expected``, a try that a slow machine let run out of time is not the last.
    """
    told: list[str] = []

    def all_told() -> bool:
        if not exporter.process.alive:
            pytest.fail(f"the exporter has ended:\n{exporter.process.log_tail()}")
        told[:] = exporter.get("/-/ready").json().get("errors", [])
        tried = bool(told) and not any(NOT_HEARD_OF in cause for cause in told)
        return tried and told == list(expected or told)

    wait_until(lambda: listens(exporter) and all_told(), SECONDS)
    assert exporter.get("/-/healthy").ok
    return told


@contextmanager
def closed_port() -> Iterator[int]:
    """A port where nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


def listens(exporter: ExporterProcess) -> bool:
    with socket.socket() as client:
        address = exporter.url.removeprefix("http://").split(":")
        return client.connect_ex((address[0], int(address[1]))) == 0


def assert_ends_when_told(exporter: ExporterProcess) -> None:
    """SIGTERM is obeyed in seconds, with all that was seen on record, and without a complaint."""
    assert exporter.process.end(PATIENCE_SECONDS) == 0, exporter.process.log_tail()
    log = exporter.log_path.read_text()
    assert "msg=stopped drained" in log.splitlines()[-1]
    assert "Traceback" not in log


# Watching
@pytest.mark.parametrize("title", ["TLS", "ssh", "paramiko"])
def test_exits_are_told_as_on_the_spot(
    title: str,
    tls: Tls,
    containers: Callable[..., Container],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    for number in range(MORE_THAN_SSHD_ALLOWS_CHANNELS):
        containers(f"never-started-{number}", "true")
    containers("ended-before", "exit 7").start()
    succeeds = containers("succeeds", "true")
    limit = 20 * MEBIBYTE
    # Not at once: the engine is the one witness here.
    starves = containers("starves", HUNGRY_WHEN_TOLD, mem_limit=limit, memswap_limit=limit)
    with watching(ways(tls, request)[title](), tmp_path) as exporter:
        starves.start()
        succeeds.start()
        await_ends(exporter, "ended-before", "succeeds")
        starves.exec_run(["touch", "/now"])
        await_ends(exporter, "starves")
        assert ends(exporter) == {
            "ended-before": ("failed", 7, "Error", 0),
            "succeeds": ("done", 0, "Completed", 0),
            "starves": ("failed", 137, "OOMKilled", 1),
        }
        assert_ends_when_told(exporter)


@pytest.mark.parametrize("title", ["TLS", "ssh", "paramiko"])
def test_the_log_of_a_job_of_dstack_is_followed(
    title: str, tls: Tls, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shared = Shared(tmp_path / "shared", "go", "never")
    stand_in = StandIn.new("d-exit-3", f"{wait_at('go')}; exit 3", 3, 0)
    with watching(ways(tls, request)[title](), tmp_path) as exporter:
        clients = len(children_of(exporter.process.pid))
        container = stand_in.start(tls.client, shared)
        # A login takes longer than this job would.
        assert wait_until(lambda: title != "ssh" or len(children_of(exporter.process.pid)) > clients, SECONDS)
        with shared.opened("go"):
            stand_in.await_end(container, shared)
        container.stop(timeout=0)
        await_ends(exporter, stand_in.name)
        container.remove()
        if title == "paramiko":
            assert ends(exporter)[stand_in.name][:3] == ("unknown", None, "Unknown")
            job = exporter.json(f"/api/v1/jobs/{stand_in.name}")
            assert "following it over ssh needs an ssh client" in str(job)
        else:
            assert ends(exporter)[stand_in.name][:3] == ("failed", 3, "Error")
        goes_on = StandIn.new("d-exit-3", wait_at("never"), 3, 1).start(tls.client, shared)
        assert wait_until(lambda: any(job["status"] == "running" for job in exporter.jobs()), SECONDS)
        assert_ends_when_told(exporter)
    goes_on.remove(force=True)


@SSH_CLIENTS
def test_over_ssh_what_ended_while_the_line_was_cut_is_told_after(
    by: Callable[[Sshd], Way], sshd: Sshd, containers: Callable[..., Container], tmp_path: Path
) -> None:
    with watching(by(sshd), tmp_path) as exporter:
        meanwhile = containers("meanwhile", "exit 5")
        sshd.stop()
        try:
            assert wait_until(lambda: not exporter.get("/-/ready").ok, SECONDS)
            meanwhile.start()
            meanwhile.wait()
        finally:
            sshd.start()
        await_ends(exporter, "meanwhile")
        exporter.await_ready()
        assert ends(exporter)["meanwhile"] == ("failed", 5, "Error", 0)
        # One process of ssh that streams beside eight that inspect, at the most.
        assert len(children_of(exporter.process.pid)) <= 9
        assert_ends_when_told(exporter)
    assert wait_until(lambda: not sshd.sessions, SECONDS)


@SSH_CLIENTS
def test_over_ssh_a_line_that_hangs_does_not_hold_up_the_end(
    by: Callable[[Sshd], Way], sshd: Sshd, containers: Callable[..., Container], tmp_path: Path
) -> None:
    with watching(by(sshd), tmp_path) as exporter, sshd.hanging() as hanging:
        # At once, so that more connections are wanted than are open.
        together = [containers(f"together-{number}", "true") for number in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(Container.start, together))
        assert wait_until(hanging.exists, SECONDS)
        assert_ends_when_told(exporter)


# What goes wrong


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("impostors", "TLS failed: {}; does this engine accept these ca.pem, cert.pem and key.pem?"),
        ("strangers", "TLS failed: {}; does this engine accept these ca.pem, cert.pem and key.pem?"),
        ("", "/version: HTTP 400: Client sent an HTTP request to an HTTPS server."),
    ],
    ids=["the client is not known", "the engine is not known", "no TLS"],
)
def test_where_tls_fails_the_daemon_runs_and_ready_tells_why(
    kind: str, cause: str, tls: Tls, tmp_path: Path
) -> None:
    given = ("--docker.cert-path", str(getattr(tls.certificates, kind))) if kind else ()
    with started(Way(tls.url, given), tmp_path) as exporter:
        (told,) = causes(exporter)
        before, _, after = f"{tls.url}: {cause}".partition("{}")
        assert told.startswith(before)
        assert told.endswith(after)
        assert_ends_when_told(exporter)


def test_authorities_of_the_environment_do_not_stand_in_for_ca_pem(tls: Tls, tmp_path: Path) -> None:
    others = tls.certificates.strangers / "ca.pem"
    given = ("--docker.cert-path", str(tls.certificates.client))
    environment = {"REQUESTS_CA_BUNDLE": others, "CURL_CA_BUNDLE": others}
    with watching(Way(tls.url, given, environment), tmp_path):
        pass


@pytest.mark.parametrize(
    ("by", "texts"),
    [
        (
            by_ssh,
            [
                "Host key verification failed.",
                "nobody@127.0.0.1: Permission denied (publickey).",
                "ssh: connect to host 127.0.0.1 port {closed}: Connection refused",
            ],
        ),
        (
            by_paramiko,
            [
                "Server '[localhost]:{port}' not found in known_hosts",
                "Authentication failed.",
                "Unable to connect to port {closed} on 127.0.0.1",
            ],
        ),
    ],
    ids=["ssh", "paramiko"],
)
def test_where_ssh_fails_ready_has_its_own_words(
    by: Callable[[Sshd], Way], texts: list[str], sshd: Sshd, tmp_path: Path
) -> None:
    with closed_port() as closed:
        hosts = [
            sshd.url.replace(LOOPBACK, "localhost"),
            sshd.url.replace("root", "nobody"),
            f"ssh://root@{LOOPBACK}:{closed}",
        ]
        with started(Way(hosts[0], also(hosts[1:]), by(sshd).environment), tmp_path) as exporter:
            told = [text.format(port=sshd.port, closed=closed) for text in texts]
            expected = sorted(f"{host}: {text}" for host, text in zip(hosts, told, strict=True))
            assert causes(exporter, expected) == expected
            assert_ends_when_told(exporter)


@pytest.mark.parametrize(
    ("by", "text"),
    [
        (by_ssh, "Host key verification failed."),
        (by_paramiko, "Host key for server '127.0.0.1' does not match"),
    ],
    ids=["ssh", "paramiko"],
)
def test_over_ssh_a_host_with_another_key_is_refused(
    by: Callable[[Sshd], Way], text: str, sshd: Sshd, tmp_path: Path
) -> None:
    with sshd.known_by_another_key(), started(by(sshd), tmp_path) as exporter:
        (cause,) = causes(exporter)
        assert text in cause
        assert_ends_when_told(exporter)


@pytest.mark.parametrize(
    ("by", "part"),
    [
        (by_ssh, "no-engine"),
        (by_paramiko, "no engine answered over ssh; does 'docker version' work over it?"),
    ],
    ids=["ssh", "paramiko"],
)
def test_where_ssh_leads_to_no_engine_ready_says_so(
    by: Callable[[Sshd], Way], part: str, sshd: Sshd, tmp_path: Path
) -> None:
    host = sshd.url_without_engine
    with started(Way(host, environment=by(sshd).environment), tmp_path) as exporter:
        (told,) = causes(exporter)
        assert told.startswith(f"{host}: ")
        assert part in told
        assert_ends_when_told(exporter)


def test_where_a_socket_is_of_no_use_ready_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent, file, stale, forbidden = (tmp_path / name for name in ("absent", "file", "stale", "forbidden"))
    file.touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(forbidden))
        listener.listen()
        forbidden.chmod(0o600)
        os.chown(forbidden, 65534, 65534)
        monkeypatch.setattr(sys, "executable", str(without_override(tmp_path / "python")))
        hosts = [f"unix://{path}" for path in (absent, file, forbidden, stale)]
        with started(Way(hosts[0], also(hosts[1:])), tmp_path) as exporter:
            assert causes(exporter) == [
                f"{hosts[0]}: no such socket; is the engine running?",
                f"{hosts[1]}: Connection refused",
                f"{hosts[2]}: permission denied; is this user allowed to use the engine (group docker)?",
                f"{hosts[3]}: Connection refused",
            ]
            assert_ends_when_told(exporter)


def without_override(path: Path) -> Path:
    """A Python that, even as root, may open only what the files' permissions allow."""
    path.write_text(
        f'#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return path


# Contexts


@pytest.fixture
def config(tls: Tls, tmp_path: Path) -> Path:
    """A configuration of the ``docker`` command with two contexts, of which none is current."""
    directory = tmp_path / "docker"
    certificates = tls.certificates.client
    files = [f"{name}={certificates / name}.pem" for name in ("ca", "cert", "key")]
    tell_docker(directory, "context", "create", "near", "--docker", f"host={tls.engine.url}")
    tell_docker(directory, "context", "create", "far", "--docker", ",".join([f"host={tls.url}", *files]))
    return directory


def tell_docker(config: Path, *words: str) -> None:
    environment = {"PATH": system_path(), "HOME": str(config), "DOCKER_CONFIG": str(config)}
    subprocess.run(["docker", *words], check=True, capture_output=True, env=environment)


def test_a_context_is_watched_where_no_config_json_is(config: Path, tls: Tls, tmp_path: Path) -> None:
    assert not (config / "config.json").exists()
    with watching(Way("context:near", environment={"DOCKER_CONFIG": config}), tmp_path) as exporter:
        assert engines_up(exporter) == {tls.engine.url: 1}


def test_a_context_brings_its_certificates(config: Path, tls: Tls, tmp_path: Path) -> None:
    with watching(Way("context:far", environment={"DOCKER_CONFIG": config}), tmp_path) as exporter:
        assert engines_up(exporter) == {tls.url: 1}


def test_with_no_host_the_current_context_is_watched(config: Path, tls: Tls, tmp_path: Path) -> None:
    tell_docker(config, "context", "use", "far")
    with watching(Way("", environment={"DOCKER_CONFIG": config}), tmp_path) as exporter:
        assert engines_up(exporter) == {tls.url: 1}


def test_docker_context_wins_over_the_current_context(config: Path, tls: Tls, tmp_path: Path) -> None:
    tell_docker(config, "context", "use", "far")
    environment = {"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "near"}
    with watching(Way("", environment=environment), tmp_path) as exporter:
        assert engines_up(exporter) == {tls.engine.url: 1}


def test_docker_host_wins_over_docker_context(config: Path, tls: Tls, tmp_path: Path) -> None:
    environment = {
        "DOCKER_CONFIG": str(config),
        "DOCKER_CONTEXT": "near",
        "DOCKER_HOST": tls.url,
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tls.certificates.client),
    }
    with watching(Way("", environment=environment), tmp_path) as exporter:
        assert engines_up(exporter) == {tls.url: 1}


def engines_up(exporter: ExporterProcess) -> dict[str, float]:
    up = faces.samples(exporter, "exit_exporter_engine_up")
    return {dict(labels)["engine"]: value for labels, value in up.items()}


NOWHERE = "there is no Docker context 'nowhere'; 'docker context ls' lists all contexts"


def test_a_context_that_is_not_there_is_said(config: Path, tmp_path: Path) -> None:
    assert refusal(Way("context:nowhere", environment={"DOCKER_CONFIG": config}), tmp_path) == NOWHERE


def test_a_context_of_the_environment_that_is_not_there_is_said(config: Path, tmp_path: Path) -> None:
    environment = {"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "nowhere"}
    assert refusal(Way("", environment=environment), tmp_path) == NOWHERE


def test_a_current_context_that_is_not_there_is_said(config: Path, tmp_path: Path) -> None:
    (config / "config.json").write_text('{"currentContext": "nowhere"}')
    assert refusal(Way("", environment={"DOCKER_CONFIG": config}), tmp_path) == NOWHERE


def test_a_context_that_is_broken_is_said(config: Path, tmp_path: Path) -> None:
    for meta in config.rglob("meta.json"):
        meta.write_text("{")
    (told,) = refusal(Way("context:near", environment={"DOCKER_CONFIG": config}), tmp_path).splitlines()
    assert re.fullmatch(r"cannot read \S+/meta\.json: .+", told)


def test_a_certificate_file_that_is_not_there_is_said(tls: Tls, tmp_path: Path) -> None:
    (tmp_path / "certificates").mkdir()
    given = ("--docker.cert-path", str(tmp_path / "certificates"))
    files = ", ".join(f"{tmp_path}/certificates/{name}.pem" for name in ("ca", "cert", "key"))
    assert refusal(Way(tls.url, given), tmp_path) == (
        f"cannot read {files}; TLS needs ca.pem, cert.pem and key.pem"
    )


def refusal(way: Way, directory: Path) -> str:
    """What an exporter says that does not start; its exit code must be 1."""
    with started(way, directory) as exporter:
        assert wait_until(lambda: not exporter.process.alive, SECONDS)
        assert exporter.process.returncode == 1
        return exporter.log_path.read_text().removeprefix("Error: ").removesuffix("\n")
