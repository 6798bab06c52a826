"""`compose.yaml` as it is shipped, brought up on a real engine.

No registry can be reached here: under the names of the pinned images the engine has Debian's own builds of
the same programs, started with the command lines and the files of `compose.yaml`. For the collector it is
another collector, and Grafana there is none; what its files say is held against the rest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
import yaml
from docker.models.containers import Container

from exporter.model import TelemetrySignal
from tests.integration.ends import HUNGRY_WHEN_TOLD, MEBIBYTE
from tests.lab import collector
from tests.lab.compose import ComposeProject
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.filter import LOGS_OFF, SHIPPED, filtered
from tests.lab.images import BUSYBOX, PYTHON, Packed, import_program
from tests.lab.install import ensure_compose, ensure_prometheus, program
from tests.lab.server import free_port
from tests.lab.wait import wait_until
from tests.lab.wheels import SOURCE, build_image

FILE = SOURCE / "compose.yaml"
PROJECT = "trial"
SERVICES = ("docker-proxy", "exporter", "collector", "prometheus", "alertmanager")
TARGET = {"job": "exit-exporter", "instance": "exporter:10137"}
ENGINE = "tcp://docker-proxy:2375"
WORKLOAD = "night/train"
SECONDS = 120
ASK_SECONDS = 10
OK, FORBIDDEN = 200, 403


@dataclass(frozen=True, slots=True)
class Trial:
    """The project that is up, and how its services are asked from this host."""

    client: docker.DockerClient
    project: ComposeProject
    ports: dict[str, int]

    def get(self, service: str, path: str, **parameters: str) -> Any:
        """What a service answers in JSON, at the port that it has on this host."""
        with requests.Session() as http:
            # A proxy in the environment must not be asked for this machine's own address.
            http.trust_env = False
            url = f"http://127.0.0.1:{self.ports[service]}{path}"
            answer = http.get(url, params=parameters, timeout=ASK_SECONDS)
            answer.raise_for_status()
            return answer.json()

    def container(self, service: str) -> Container:
        """The container of a service."""
        (found,) = self.client.containers.list(all=True, filters={"name": f"{PROJECT}_{service}_1"})
        return found


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """The file, with its variables left out."""
    settings: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text()))
    return settings


@pytest.fixture(scope="module")
def trial(
    engine: PrivateEngine,
    client: docker.DockerClient,
    settings: dict[str, Any],
    wheels: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trial]:
    """All services but Grafana, up."""
    ensure_compose()
    ensure_prometheus()
    have_images(client, {name: each["image"] for name, each in settings["services"].items()}, wheels)
    ports = {service: free_port() for service in settings["services"]}
    variables = {
        f"{service.upper()}_PORT": str(port) for service, port in ports.items() if "-" not in service
    }
    variables["DOCKER_SOCKET"] = str(engine.socket_path)
    with ComposeProject(FILE, engine.url, PROJECT, variables) as project:
        project.run("up", "--detach", "--no-build", *SERVICES)
        asked = ExporterProcess("", tmp_path_factory.mktemp("asked"), port=ports["exporter"])
        if not wait_until(asked.ready, SECONDS):
            pytest.fail(project.run("logs", "--no-color", "--tail", "20"))
        asked.stop()
        yield Trial(client, project, ports)


@pytest.fixture(scope="module")
def killed(trial: Trial) -> Container:
    """A job that has taken more memory than it may."""
    container = trial.client.containers.run(
        BUSYBOX,
        # Not at once: behind its filter, the exporter has no other witness than the engine.
        ["sh", "-c", HUNGRY_WHEN_TOLD],
        labels={"exit-exporter.workload": WORKLOAD},
        mem_limit=20 * MEBIBYTE,
        memswap_limit=20 * MEBIBYTE,
        network_mode="none",
        detach=True,
    )
    container.exec_run(["touch", "/now"])
    container.wait(timeout=SECONDS)
    return container


def have_images(client: docker.DockerClient, images: dict[str, str], wheels: Path) -> None:
    """Have an image of each service's name: the project's own, and programs of this machine."""
    build_image(client, PYTHON, images["exporter"], wheels)
    for service, packed in programs().items():
        import_program(client, images[service], packed)


def programs() -> dict[str, Packed]:
    """What runs as which service."""
    receiving = ["start", "--otlp-http-endpoint", "0.0.0.0:4318", *collector.blackhole()]
    telling = ["--debug-log", "traces", "--debug-log-verbosity", "detailed"]
    return {
        "docker-proxy": Packed(
            Path(program("haproxy")), ["-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
        ),
        "prometheus": Packed(Path(program("prometheus")), data=["/prometheus"]),
        "alertmanager": Packed(
            Path(program("prometheus-alertmanager")),
            beside=[Path("/usr/share/prometheus/alertmanager")],
            data=["/alertmanager"],
        ),
        "collector": Packed(collector.program(), [*receiving, *telling], fixed=True),
    }


def proxy_of(trial: Trial) -> str:
    """The address of the proxy in its own network, which this host can reach too."""
    networks = trial.container("docker-proxy").attrs["NetworkSettings"]["Networks"]
    return f"http://{networks[f'{PROJECT}_engine']['IPAddress']}:2375"


# What the files say


def test_every_image_is_pinned_but_the_one_that_is_built(settings: dict[str, Any]) -> None:
    images = {name: each["image"] for name, each in settings["services"].items() if "build" not in each}
    assert {name for name, image in images.items() if re.search(r":v?\d+\.\d+\.\d+", image)} == set(images)
    assert set(settings["services"]) - set(images) == {"exporter"}


def test_every_mounted_file_is_there(settings: dict[str, Any]) -> None:
    mounts = [mount for each in settings["services"].values() for mount in each.get("volumes", ())]
    sources = [source for source in (mount.partition(":")[0] for mount in mounts) if source.startswith("./")]
    assert sources
    assert [source for source in sources if not (SOURCE / source).exists()] == []


def test_no_port_is_open_beyond_this_host(settings: dict[str, Any]) -> None:
    ports = [port for each in settings["services"].values() for port in each.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_only_the_exporter_shares_a_network_with_the_proxy(settings: dict[str, Any]) -> None:
    networks = {name: each.get("networks", ["default"]) for name, each in settings["services"].items()}
    assert {name for name, of_it in networks.items() if "engine" in of_it} == {"docker-proxy", "exporter"}
    assert networks["docker-proxy"] == ["engine"]
    assert settings["networks"]["engine"] == {"internal": True}


def test_the_collector_takes_all_that_the_exporter_may_send(settings: dict[str, Any]) -> None:
    service, endpoint = settings["services"]["collector"], settings["services"]["exporter"]["environment"]
    (mount,) = service["volumes"]
    source, target, _ = mount.split(":")
    flag, inside = service["command"]
    configured = yaml.safe_load((SOURCE / source / Path(inside).relative_to(target)).read_text())
    assert flag == "--config"
    assert {*configured["service"]["pipelines"]} == {signal.value for signal in TelemetrySignal}
    parts = {"receivers": configured["receivers"], "exporters": configured["exporters"]}
    for pipeline in configured["service"]["pipelines"].values():
        assert {kind: set(names) <= set(parts[kind]) for kind, names in pipeline.items()} == {
            "receivers": True,
            "exporters": True,
        }
    port = configured["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert endpoint["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://collector:{port}"
    storage, query = (configured["extensions"][each] for each in ("jaeger_storage", "jaeger_query"))
    names = {query["storage"]["traces"], configured["exporters"]["jaeger_storage_exporter"]["trace_storage"]}
    assert names == set(storage["backends"])
    assert service["ports"][0].endswith(query["http"]["endpoint"].rpartition(":")[2])


def test_grafana_is_given_what_the_other_services_are(settings: dict[str, Any]) -> None:
    files = SOURCE / "dashboards" / "provisioning"
    sources = SOURCE / "compose" / "grafana" / "datasources.yaml"
    provisioned = yaml.safe_load(sources.read_text())["datasources"]
    prometheus, traces = provisioned
    scraping = yaml.safe_load((SOURCE / "compose" / "prometheus.yml").read_text())["global"]
    assert prometheus["url"] == "http://prometheus:9090"
    assert prometheus["jsonData"]["timeInterval"] == scraping["scrape_interval"]
    assert traces["url"] == "http://collector:16686"
    assert settings["services"]["collector"]["image"] == "jaegertracing/jaeger:2.20.0"
    (link,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    (port,) = settings["services"]["collector"]["ports"]
    address, on_this_host, inside = port.split(":")
    assert (address, inside) == ("127.0.0.1", "16686")
    assert link["url"] == f"http://localhost:{on_this_host}/trace/$${{__value.raw}}"
    grafana = settings["services"]["grafana"]
    folder = yaml.safe_load((files / "dashboards" / "exit-exporter.yaml").read_text())["providers"][0][
        "options"
    ]
    assert f"./dashboards:{folder['path']}:ro" in grafana["volumes"]
    # Not the folder around them, which would hide what Grafana has there for alerting and plugins.
    for part, here in (
        ("dashboards", "dashboards/provisioning/dashboards"),
        ("datasources", "compose/grafana"),
    ):
        assert f"./{here}:/etc/grafana/provisioning/{part}:ro" in grafana["volumes"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == Path(folder["path"])
    assert (SOURCE / "dashboards" / home.name).is_file()


def test_the_line_for_logs_is_off_and_opens_logs_alone(
    engine: PrivateEngine, client: docker.DockerClient, tmp_path: Path
) -> None:
    assert len(LOGS_OFF.findall(SHIPPED.read_text())) == 1
    container = client.containers.run(BUSYBOX, ["echo", "said"], network_mode="none", detach=True)
    container.wait(timeout=SECONDS)
    with filtered(engine.socket_path, tmp_path) as address:
        url = f"http://{address}/containers/{container.id}"
        paths = ("/json", "/logs?stdout=1&follow=1", "/logs/x", "/top", "/archive?path=/")
        assert [asked(url + path) for path in paths] == [OK, OK, FORBIDDEN, FORBIDDEN, FORBIDDEN]
    container.remove()


def asked(url: str) -> int:
    """The status of an answer."""
    with requests.Session() as http:
        http.trust_env = False
        return http.get(url, timeout=ASK_SECONDS).status_code


# What runs


def test_the_exporter_watches_the_engine_through_the_proxy(trial: Trial) -> None:
    assert trial.get("exporter", "/-/ready") == {"status": "ready"}

    def watched() -> list[tuple[str, str]]:
        found = trial.get("prometheus", "/api/v1/query", query="exit_exporter_engine_up")["data"]["result"]
        return [(each["metric"]["engine"], each["value"][1]) for each in found]

    assert wait_until(lambda: watched() == [(ENGINE, "1")], SECONDS), watched()


@pytest.mark.usefixtures("killed")
def test_an_oom_kill_is_scraped_and_somebody_is_told(trial: Trial) -> None:
    query = f'container_exits_total{{workload="{WORKLOAD}", reason="OOMKilled"}}'

    def counted() -> list[Any]:
        found: list[Any] = trial.get("prometheus", "/api/v1/query", query=query)["data"]["result"]
        return [(TARGET.items() <= each["metric"].items(), each["value"][1]) for each in found]

    assert wait_until(lambda: counted() == [(True, "1")], SECONDS), counted()

    def told() -> list[dict[str, str]]:
        found = [alert["labels"] for alert in trial.get("alertmanager", "/api/v2/alerts")]
        # The engine may have had other jobs that were killed, and to this Prometheus they are news.
        return [labels for labels in found if labels.get("workload") == WORKLOAD]

    assert wait_until(lambda: bool(told()), SECONDS), trial.get("prometheus", "/api/v1/alerts")
    (labels,) = told()
    assert (labels["alertname"], labels["severity"]) == ("JobOOMKilled", "info")


def test_an_exemplar_leads_to_a_trace_that_the_collector_has(trial: Trial, killed: Container) -> None:
    (job,) = [
        job for job in trial.get("exporter", "/api/v1/jobs")["jobs"] if job["container_id"] == killed.id
    ]
    period = {"start": str(time.time() - 3600), "end": str(time.time() + 60)}
    query = f'container_exits_total{{workload="{WORKLOAD}"}}'

    def traced() -> set[str]:
        found = trial.get("prometheus", "/api/v1/query_exemplars", query=query, **period)["data"]
        return {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    assert wait_until(lambda: traced() == {job["trace_id"]}, SECONDS), traced()
    collected = trial.container("collector").logs
    assert wait_until(lambda: job["trace_id"] in collected().decode(), SECONDS)


@pytest.mark.parametrize(
    "path",
    [
        "/version",
        "/info",
        "/v1.41/containers/json?all=1",
        "/v1.41/containers/{id}/json",
        "/v1.41/events?since=1&until=2",
    ],
)
def test_the_proxy_lets_pass_what_the_exporter_asks(trial: Trial, killed: Container, path: str) -> None:
    assert requests.get(proxy_of(trial) + path.format(id=killed.id), timeout=ASK_SECONDS).ok


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_ping"),
        ("POST", "/v1.41/containers/{id}/start"),
        ("POST", "/v1.41/containers/json"),
        ("DELETE", "/v1.41/containers/{id}"),
        ("PUT", "/v1.41/containers/{id}/archive?path=/"),
        ("GET", "/v1.41/containers/{id}/archive?path=/etc/passwd"),
        ("GET", "/v1.41/containers/{id}/logs?stdout=1"),
        ("GET", "/v1.41/containers/{id}/top"),
        ("GET", "/v1.41/images/json"),
        ("GET", "/images/json"),
        ("GET", "/v1.41/containers/{id}/..%2f..%2fimages/json"),
        ("GET", "/v1.41/../images/json"),
        ("GET", "//images/json"),
        ("GET", "/"),
    ],
)
def test_the_proxy_refuses_everything_else(trial: Trial, killed: Container, method: str, path: str) -> None:
    with requests.Session() as http:
        request = http.prepare_request(requests.Request(method, proxy_of(trial)))
        # As it stands: the library would tidy dots and slashes away.
        request.url = proxy_of(trial) + path.format(id=killed.id)
        assert http.send(request, timeout=ASK_SECONDS).status_code == FORBIDDEN


def test_the_exporter_finds_what_ended_while_the_proxy_was_away(trial: Trial) -> None:
    trial.project.run("stop", "docker-proxy")
    ended = trial.client.containers.run(BUSYBOX, ["sh", "-c", "exit 3"], network_mode="none", detach=True)
    ended.wait(timeout=SECONDS)
    trial.project.run("start", "docker-proxy")

    def codes() -> list[int]:
        jobs = trial.get("exporter", "/api/v1/jobs")["jobs"]
        return [job["container_exit_code"] for job in jobs if job["container_id"] == ended.id]

    assert wait_until(lambda: codes() == [3], SECONDS), codes()
