"""Images: the name of one that was given by its id, and the digests of each, are looked up once."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.images import Image, ImageCache
from exporter.sources.docker.engine import EngineError, Inspection
from exporter.workload import UNNAMED, workload_of
from tests.contract.engines import Table, identity, running
from tests.scripted.engine import ScriptedEngine

SECONDS = 10.0
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
def test_the_repository_of_an_image_with_a_name_is_not_looked_up(engine: ScriptedEngine, given: str) -> None:
    engine.set_image(IMAGE, "other/name:v1")
    assert repository_of(engine, given) == ""


def test_a_name_that_looks_like_an_id_prefix_is_compared_with_the_id(
    engine: ScriptedEngine,
) -> None:
    assert repository_of(engine, "cafe") == "cafe"
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

    def tell(image: str) -> Image:
        loaded.append(image)
        return Image(image)

    images = ImageCache(tell, max_cached=2)
    for image in "abacab":
        images.get(image)
    assert "".join(loaded) == "abcb"


# Digests

DIGEST = f"registry.example:5000/acme/train@sha256:{'d' * 64}"
OTHER_DIGEST = f"zoo/train@sha256:{'e' * 64}"
ENDED_STATE = {"Status": "exited", "Running": False, "FinishedAt": "2100-01-01T00:00:01Z", "ExitCode": 1}


def inspected(docker: DockerEngine, number: int = 1) -> Inspection:
    """Return an inspection by this client."""
    found = docker.inspect(identity(number))
    assert found is not None
    return found


def ended(table: Table) -> Table:
    """Return the inspection of a container after its run."""
    return {**table, "State": {**table["State"], **ENDED_STATE}}


@pytest.mark.parametrize("given", ["train:v1", HEX, HEX[:12]])
def test_an_image_has_its_id_and_its_digests(engine: ScriptedEngine, given: str) -> None:
    bad = ("<none>@<none>", "train:v1", "\x1b@sha256:1")
    engine.set_image(IMAGE, "acme/train:v1", digests=(OTHER_DIGEST, DIGEST, *bad))
    engine.set_container(started_by(given))
    docker = DockerEngine(EngineAddress(engine.url))
    for _ in range(2):
        found = inspected(docker)
        assert (found.image_id, found.image_digests) == (IMAGE, (DIGEST, OTHER_DIGEST))
    assert lookups(engine) == 1


def test_an_image_has_few_digests(engine: ScriptedEngine) -> None:
    digests = tuple(f"mirror-{number:03}/train@{IMAGE}" for number in range(500))
    engine.set_image(IMAGE, digests=digests)
    engine.set_container(started_by("train:v1"))
    assert inspected(DockerEngine(EngineAddress(engine.url))).image_digests == digests[:10]


def test_a_digest_that_was_given_is_not_looked_up(engine: ScriptedEngine) -> None:
    engine.set_container(started_by(DIGEST))
    assert inspected(DockerEngine(EngineAddress(engine.url))).image_digests == (DIGEST,)
    assert lookups(engine) == 0


def test_a_container_whose_image_has_no_id_has_no_digests(engine: ScriptedEngine) -> None:
    engine.set_container(started_by("train:v1", image_id="train:v1"))
    found = inspected(DockerEngine(EngineAddress(engine.url)))
    assert (found.image_id, found.image_digests, lookups(engine)) == ("", (), 0)


def test_an_exit_does_not_wait_for_digests_that_are_not_known(engine: ScriptedEngine) -> None:
    engine.set_image(IMAGE, digests=(DIGEST,))
    engine.set_container(ended(started_by("train:v1", 1)))
    engine.set_container(started_by("train:v1", 2))
    docker = DockerEngine(EngineAddress(engine.url))
    assert (inspected(docker, 1).image_digests, lookups(engine)) == ((), 0)
    assert inspected(docker, 2).image_digests == (DIGEST,)
    assert (inspected(docker, 1).image_digests, lookups(engine)) == ((DIGEST,), 1)


def test_digests_that_a_proxy_refuses_are_asked_for_once(engine: ScriptedEngine) -> None:
    engine.set_image(IMAGE, digests=(DIGEST,))
    engine.set_container(started_by("train:v1"))
    engine.fail_next("/images/", 403, times=9)
    docker = DockerEngine(EngineAddress(engine.url))
    with capture_logs() as logged:
        found = [inspected(docker).image_digests for _ in range(3)]
    assert (found, lookups(engine)) == ([()] * 3, 1)
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("cannot read the digests of an image", "info")
    ]


def test_containers_do_not_wait_for_the_digests_that_another_asks_for() -> None:
    asked, answered = threading.Event(), threading.Event()

    def tell(image: str) -> Image:
        asked.set()
        assert answered.wait(SECONDS)
        return Image(image, (DIGEST,))

    images, found = ImageCache(tell), []
    first = threading.Thread(target=lambda: found.append(images.try_once("a")))
    first.start()
    assert asked.wait(SECONDS)
    assert images.try_once("a") is None
    answered.set()
    first.join()
    assert found == [images.known("a")] == [Image("a", (DIGEST,))]


def test_the_cache_forgets_which_images_were_tried_long_ago() -> None:
    tried: list[str] = []

    def refuse(image: str) -> Image:
        tried.append(image)
        raise EngineError("refused")

    images = ImageCache(refuse, max_cached=2)
    for image in "aabca":
        with suppress(EngineError):
            images.try_once(image)
    assert "".join(tried) == "abca"
