"""Containers that were started by an image's id: the image's name is looked up once."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.images import RepositoryCache
from exporter.workload import UNNAMED, workload_of
from tests.contract.engines import Table, identity, running
from tests.scripted.engine import ScriptedEngine

HEX = "3f57d9401f8d42f986df300f0c69192fc41da28ccc8d797829467780db3dd741"
IMAGE = f"sha256:{HEX}"


def started_by(image: str, number: int = 1, image_id: str = IMAGE) -> Table:
    """Return the inspection of a container that was started by this name or id."""
    return {**running(1, number), "Image": image_id, "Config": {"Image": image, "Labels": {}}}


def repository_of(engine: ScriptedEngine, image: str) -> str:
    """Return the repository of a container that was started by this name or id."""
    engine.set_container(started_by(image))
    found = DockerEngine(EngineAddress(engine.url)).inspect(identity(1))
    assert found is not None
    assert found.image == (image or IMAGE)
    return found.repository


def lookups(engine: ScriptedEngine) -> int:
    """Return the number of requests about images."""
    return sum("/images/" in target for _, target in engine.requests)


@pytest.mark.parametrize("given", [IMAGE, HEX, HEX[:12], HEX[:4], f"sha256:{HEX[:12]}", ""])
def test_an_image_id_has_the_repository_of_its_first_tag(engine: ScriptedEngine, given: str) -> None:
    engine.set_image(IMAGE, "zoo/train:v1", "registry.example:5000/acme/train:v2")
    assert repository_of(engine, given) == "registry.example:5000/acme/train"


def test_an_image_without_tags_has_the_repository_of_its_digest(engine: ScriptedEngine) -> None:
    engine.set_image(IMAGE, "<none>:<none>", digests=(f"acme/train@{IMAGE}",))
    assert repository_of(engine, HEX) == "acme/train"


def test_an_image_without_names_is_unnamed(engine: ScriptedEngine) -> None:
    engine.set_image(IMAGE)
    assert repository_of(engine, HEX[:4]) == UNNAMED


def test_a_removed_image_is_unnamed_and_looked_up_once(engine: ScriptedEngine) -> None:
    docker = DockerEngine(EngineAddress(engine.url))
    for number in (1, 2):
        engine.set_container(started_by(HEX[:4], number))
        found = docker.inspect(identity(number))
        assert found is not None
        assert found.repository == UNNAMED
    assert lookups(engine) == 1


@pytest.mark.parametrize("given", ["train:v1", "cafe:v1", f"acme/train@{IMAGE}"])
def test_an_image_with_a_name_is_not_looked_up(engine: ScriptedEngine, given: str) -> None:
    assert (repository_of(engine, given), lookups(engine)) == ("", 0)


def test_a_name_that_looks_like_an_id_prefix_is_compared_with_the_id(
    engine: ScriptedEngine,
) -> None:
    assert (repository_of(engine, "cafe"), lookups(engine)) == ("cafe", 0)
    assert workload_of({}, "cafe", known_as="cafe").name == "cafe"
    assert workload_of({}, "cafe").name == UNNAMED


def test_a_failed_image_lookup_costs_no_inspection_and_is_repeated(engine: ScriptedEngine) -> None:
    engine.set_image(IMAGE, "acme/train:v1")
    engine.set_container(started_by(HEX))
    engine.fail_next("/images/", 500, times=1)
    docker = DockerEngine(EngineAddress(engine.url))
    with capture_logs() as logged:
        found = [docker.inspect(identity(1)) for _ in range(2)]
    assert [each.repository for each in found if each is not None] == [UNNAMED, "acme/train"]
    assert [line["event"] for line in logged] == ["cannot read the name of an image"]


def test_containers_of_one_image_share_one_lookup(engine: ScriptedEngine) -> None:
    engine.set_image(IMAGE, "acme/train:v1")
    for number in range(8):
        engine.set_container(started_by(HEX, number))
    docker, found = DockerEngine(EngineAddress(engine.url)), []
    threads = [
        threading.Thread(target=lambda number=number: found.append(docker.inspect(identity(number))))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.repository for each in found if each is not None} == {"acme/train"}
    assert (len(found), lookups(engine)) == (8, 1)


def test_the_cache_keeps_the_latest_used_images() -> None:
    loaded: list[str] = []

    def tell(image: str) -> str:
        loaded.append(image)
        return image

    repositories = RepositoryCache(tell, max_cached=2)
    for image in "abacab":
        repositories.get(image)
    assert "".join(loaded) == "abcb"
