"""The engine of the demo: the user's if there is one, otherwise a private one."""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.lab.engine import PrivateEngine, ping
from tests.lab.images import BUSYBOX, PYTHON, has_image, import_busybox, import_python
from tests.lab.install import ensure_dockerd, missing_programs

UNIX = "unix://"
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
ANSWER_SECONDS = 10

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoEngine:
    """Engine that has the images of the lab, and a client for it."""

    url: str
    client: docker.DockerClient

    def time(self) -> str:
        """Return the time by its clock, as in its events."""
        return str(self.client.info()["SystemTime"])


def find_engine(stack: ExitStack, say: Say) -> DemoEngine:
    """Return an engine with the images; closing `stack` removes what was created for it.

    The user's is the first that answers and takes the images, of DOCKER_HOST, the usual
    socket, and the current docker context.
    """
    for url in _candidates():
        if engine := _try_engine(url, stack, say):
            return engine
    if missing := missing_programs():
        say(f"no engine found, and no {', '.join(missing)} to start one: installing, this takes a minute")
        ensure_dockerd()
    say("no engine found: starting a private one")
    private = stack.enter_context(PrivateEngine())
    engine = DemoEngine(private.url, private.client())
    _import_images(engine.client)
    say(f"engine {private.url}")
    return engine


def _candidates() -> Iterator[str]:
    urls = [os.environ.get("DOCKER_HOST"), DEFAULT_SOCKET, _context_host()]
    yield from dict.fromkeys(url for url in urls if url)


def _nobody_listens(url: str) -> bool:
    # Checked here, because the SDK would leave its own socket open.
    return url.startswith(UNIX) and not ping(Path(url.removeprefix(UNIX)))


def _context_host() -> str | None:
    """Return the host of the current docker context, unless it needs certificates of its own."""
    try:
        context = ContextAPI.get_current_context()
        certificates: object = context.TLSConfig
        return str(context.Host) if certificates is None else None
    except (DockerException, AttributeError, OSError, ValueError):
        # A broken configuration of a program that the demo does not need, or one that names a
        # context which is gone: the SDK returns None then.
        return None


def _try_engine(url: str, stack: ExitStack, say: Say) -> DemoEngine | None:
    """Return the engine at `url` with the images, or None after saying why not."""
    if _nobody_listens(url):
        if url == os.environ.get("DOCKER_HOST"):
            say(f"DOCKER_HOST {url} does not answer")
        return None
    with ExitStack() as attempt:
        try:
            client = _connect(url)
            attempt.callback(client.close)
            if client.info()["Architecture"] != platform.machine():
                say(f"{url} runs on another architecture than this machine's Python")
                return None
            _import_for_now(client, attempt)
        except (DockerException, RequestException, OSError) as error:
            say(f"{url} cannot be used: {error}")
            return None
        say(f"engine {url}")
        stack.push(attempt.pop_all())
        return DemoEngine(url, client)


def _connect(url: str) -> docker.DockerClient:
    # The environment may also name certificates, which apply only to DOCKER_HOST.
    if url == os.environ.get("DOCKER_HOST"):
        client = docker.from_env(timeout=ANSWER_SECONDS)
    else:
        client = docker.DockerClient(base_url=url, timeout=ANSWER_SECONDS)
    # Long enough for any request, once the engine has answered.
    client.api.timeout = 60
    return client


def _import_images(client: docker.DockerClient) -> None:
    import_busybox(client)
    import_python(client)


def _import_for_now(client: docker.DockerClient, stack: ExitStack) -> None:
    """Import the images that are missing; closing `stack` removes just those again."""
    for name in (BUSYBOX, PYTHON):
        if not has_image(client, name):
            stack.callback(_remove_image, client, name)
    _import_images(client)


def _remove_image(client: docker.DockerClient, name: str) -> None:
    if has_image(client, name):
        client.images.remove(name)
