"""Many engines beside one exporter."""

import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from exporter.config.settings import DockerSettings, Settings
from exporter.sources.docker.engine import ContainerList
from exporter.sources.docker.source import docker_sources
from exporter.sources.source import Inbox
from tests.contract.engines import on_other_host
from tests.contract.watcher_driver import TIMEOUT_SECONDS
from tests.scripted.engine import ScriptedEngine

ENGINES = 10


def test_each_of_many_engines_has_a_thread_that_reads_and_a_share_in_all_others(tmp_path: Path) -> None:
    inbox, listed = Inbox(), 0
    with ExitStack() as opened:
        names = [f"{number}.sock" for number in range(ENGINES)]
        engines = [opened.enter_context(ScriptedEngine(tmp_path, name=name)) for name in names]
        hosts = tuple(on_other_host(engine).url for engine in engines)
        before = {*threading.enumerate()}
        for source in docker_sources(Settings(docker=DockerSettings(host=hosts)), {}, inbox):
            opened.callback(source.stop)
            source.start(None)
        while listed < ENGINES:
            (message,) = inbox.take(1, TIMEOUT_SECONDS)
            listed += isinstance(message.content, ContainerList)
        threads = Counter(each.name.split()[0] for each in threading.enumerate() if each not in before)
    assert (threads["watch"], threads["watchdog"], threads["check"]) == (ENGINES, 1, 0)
    assert threads["inspect"] <= ENGINES
