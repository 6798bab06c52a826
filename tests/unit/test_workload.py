"""Workloads by labels and image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.labels import KEPT
from exporter.model import Workload
from exporter.workload import DEFAULT_ORDER, WorkloadSource, labels_kept, repository, tag, workload_of

OWN = {"exit-exporter.workload": "nightly"}
SWARM = {"com.docker.swarm.service.name": "web_api"}
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "cart"}
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("image", "short"),
    [
        ("busybox", "busybox"),
        ("busybox:1.36", "busybox"),
        ("library/busybox:latest", "library/busybox"),
        ("ghcr.io/acme/train:v1.2.3", "ghcr.io/acme/train"),
        ("localhost:5000/acme/train", "localhost:5000/acme/train"),
        ("localhost:5000/acme/train:v1", "localhost:5000/acme/train"),
        (f"acme/train@{DIGEST}", "acme/train"),
        (f"acme/train:v1@{DIGEST}", "acme/train"),
        (f"localhost:5000/acme/train:v1@{DIGEST}", "localhost:5000/acme/train"),
        ("", "unnamed"),
        (DIGEST, "unnamed"),
        (DIGEST.removeprefix("sha256:"), "unnamed"),
        ("0123456789ab", "unnamed"),
        ("0123456789a", "unnamed"),
        ("deadbeef", "unnamed"),
        ("sha256:abcd", "unnamed"),
        ("deadbeef:v1", "deadbeef"),
        ("acme/deadbeef", "acme/deadbeef"),
        ("0123456789abX", "0123456789abX"),
        (f"@{DIGEST}", "unnamed"),
        (":v1", "unnamed"),
        ("a" * 300 + ":v1", "a" * 200),
    ],
)
def test_a_repository_has_neither_tag_nor_digest(image: str, short: str) -> None:
    assert repository(image) == short


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("busybox", None),
        ("busybox:1.36", "1.36"),
        ("library/busybox:latest", "latest"),
        ("ghcr.io/acme/train:v1.2.3", "v1.2.3"),
        ("localhost:5000/acme/train", None),
        ("localhost:5000/acme/train:v1", "v1"),
        (f"acme/train@{DIGEST}", None),
        (f"acme/train:v1@{DIGEST}", "v1"),
        (f"localhost:5000/acme/train@{DIGEST}", None),
        (f"localhost:5000/acme/train:v1@{DIGEST}", "v1"),
        ("", None),
        (DIGEST, None),
        (DIGEST.removeprefix("sha256:"), None),
        ("sha256:0123456789ab", None),
        ("sha256:abcd", None),
        ("0123456789ab", None),
        ("0123456789ab:v1", "v1"),
        (f"@{DIGEST}", None),
        ("train:", None),
    ],
)
def test_a_tag_follows_the_repository(image: str, expected: str | None) -> None:
    assert tag(image) == expected


@given(st.text(max_size=20), st.text(st.characters(exclude_characters=":/@"), min_size=1, max_size=9))
def test_a_tag_contains_neither_path_nor_digest(image: str, behind: str) -> None:
    for some in (image, f"{image}:{behind}", f"{image}@{behind}"):
        found = tag(some)
        assert found is None or (found and f":{found}" in some and not set(found) & set(":/@"))


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({**COMPOSE, **SWARM, **OWN}, "nightly"),
        ({**COMPOSE, **SWARM}, "web_api"),
        (COMPOSE, "shop/cart"),
        ({}, "acme/train"),
        ({**SWARM, "exit-exporter.workload": ""}, "web_api"),
        ({"com.docker.compose.project": "shop"}, "acme/train"),
        ({"com.docker.compose.service": "cart"}, "acme/train"),
        ({"com.docker.compose.project": "shop", "com.docker.compose.service": ""}, "acme/train"),
        ({"Exit-Exporter.Workload": "nightly"}, "acme/train"),
        ({"exit-exporter.workload": " nightly report\xa0"}, "nightly report"),
        ({**SWARM, "exit-exporter.workload": " \t "}, "web_api"),
        ({**COMPOSE, "com.docker.swarm.service.name": "\xa0"}, "shop/cart"),
        ({**COMPOSE, "com.docker.compose.service": " "}, "acme/train"),
        ({**COMPOSE, "com.docker.compose.oneoff": "True"}, "shop/cart (run)"),
        ({**COMPOSE, "com.docker.compose.oneoff": "False"}, "shop/cart"),
        ({**COMPOSE, **OWN, "com.docker.compose.oneoff": "True"}, "nightly"),
    ],
)
def test_a_workload_has_the_name_of_its_first_source(labels: dict[str, str], name: str) -> None:
    assert workload_of(labels, "acme/train:v1") == Workload(name, "acme/train")


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (DEFAULT_ORDER, "nightly"),
        ((WorkloadSource.COMPOSE, WorkloadSource.LABEL), "shop/cart"),
        ((WorkloadSource.IMAGE, WorkloadSource.LABEL), "acme/train"),
        ((WorkloadSource.SWARM,), "acme/train"),
        ((WorkloadSource.SWARM, WorkloadSource.LABEL), "nightly"),
        ((), "acme/train"),
        (("label:com.example.job", WorkloadSource.COMPOSE), "resize"),
        (("label:com.example.other", "label:com.example.blank", WorkloadSource.COMPOSE), "shop/cart"),
    ],
)
def test_the_order_of_sources_is_a_setting(order: tuple[str, ...], name: str) -> None:
    labels = {**COMPOSE, **OWN, "com.example.job": "resize", "com.example.blank": " \ufffd"}
    assert workload_of(labels, "acme/train:v1", order) == Workload(name, "acme/train")


@pytest.mark.parametrize(
    ("run", "order", "name"),
    [
        ("train", DEFAULT_ORDER, "train"),
        ("train-2", DEFAULT_ORDER, "train-2"),
        ("train-model-v2", DEFAULT_ORDER, "train-model-v2"),
        ("", DEFAULT_ORDER, "shop/cart"),
        ("wet-mangust-7", DEFAULT_ORDER, "shop/cart"),
        ("brave-horse-12", (WorkloadSource.DSTACK,), "acme/train"),
        ("train", (WorkloadSource.COMPOSE, WorkloadSource.DSTACK), "shop/cart"),
        ("train", (WorkloadSource.IMAGE,), "acme/train"),
    ],
)
def test_a_run_of_dstack_is_a_workload_unless_its_name_is_made_up(
    run: str, order: tuple[str, ...], name: str
) -> None:
    assert workload_of(COMPOSE, "acme/train:v1", order, run=run) == Workload(name, "acme/train")
    assert workload_of(OWN, "acme/train:v1", run=run).name == "nightly"


@given(st.dictionaries(st.sampled_from(KEPT), st.text()), st.text())
def test_without_a_run_dstack_in_the_order_changes_nothing(labels: dict[str, str], image: str) -> None:
    order = [source for source in DEFAULT_ORDER if source != WorkloadSource.DSTACK]
    assert workload_of(labels, image) == workload_of(labels, image, order)


def test_labels_in_an_order_are_kept_too() -> None:
    order = (
        "label:com.example.job",
        WorkloadSource.LABEL,
        "label:exit-exporter.workload",
        WorkloadSource.IMAGE,
    )
    assert labels_kept(order) == (*KEPT, "com.example.job")


def test_a_one_off_run_with_a_long_name_differs_from_its_service() -> None:
    service = {"com.docker.compose.project": "p" * 150, "com.docker.compose.service": "s" * 150}
    one_off = workload_of({**service, "com.docker.compose.oneoff": "True"}, "")
    assert len(one_off.name) == 200
    assert one_off != workload_of(service, "")


def test_a_long_name_is_cut() -> None:
    assert workload_of({"exit-exporter.workload": "x" * 201}, "") == Workload("x" * 200, "unnamed")


@given(st.dictionaries(st.sampled_from(KEPT), st.text()), st.text(), st.permutations(DEFAULT_ORDER))
def test_name_and_image_are_never_empty_and_bounded(
    labels: dict[str, str], image: str, order: list[str]
) -> None:
    workload = workload_of(labels, image, order)
    assert 1 <= len(workload.name) <= 200
    assert 1 <= len(workload.image) <= 200
