"""The page beside a real engine: what happens there appears without a reload, in the words of `ps -v`."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab
from tests.integration.faces import command, rows
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, PYTHON, import_busybox, import_python
from tests.lab.install import ensure_dockerd
from tests.lab.jobs import MEBIBYTE

PATIENCE_MS = 60_000
HUNGRY = ["python", "-c", "a = [0] * 2000000000"]
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """Return an engine with the images."""
    ensure_dockerd()
    with PrivateEngine() as private:
        import_busybox(private.client())
        import_python(private.client())
        yield private


@pytest.fixture(scope="module")
def client(engine: PrivateEngine) -> docker.DockerClient:
    """Return a client of the engine."""
    return engine.client()


@pytest.fixture
def exporter(engine: PrivateEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """Return an exporter that watches the engine, and keeps the end of logs."""
    with ExporterProcess(engine.url, tmp_path, arguments=("--tail.lines", "5")) as running:
        yield running


def test_an_oom_kill_appears_without_a_reload_with_the_text_of_ps(
    exporter: ExporterProcess, client: docker.DockerClient, tab: Tab
) -> None:
    page = tab.open(exporter.url)
    expect(page.get_by_role("status")).to_have_text("live", timeout=PATIENCE_MS)
    page.evaluate("window.isSamePage = true")
    client.containers.run(
        PYTHON, HUNGRY, name="hungry", mem_limit=96 * MEBIBYTE, network_mode="none", detach=True
    )
    row = page.locator("tr.is-failed").filter(has_text="hungry")
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    shown, printed = tab.cells("hungry"), rows(command(exporter, "ps", "-v"))["hungry"]
    assert printed["ERROR"] == "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)"
    # A second can pass between the two.
    del shown["FINISHED"], printed["FINISHED"]
    assert shown == printed
    assert page.evaluate("window.isSamePage")
    row.get_by_role("link", name="hungry").click()
    expect(page.locator("p.sentence")).to_contain_text("OOMKilled: ")
    expect(page.locator("p.sentence")).to_contain_text("nobody asked for a stop")


def test_what_a_job_without_a_good_intention_writes_is_text(
    exporter: ExporterProcess, client: docker.DockerClient, tab: Tab
) -> None:
    labels = {"exit-exporter.workload": MARKUP + "x" * 4096}
    client.containers.run(
        BUSYBOX,
        ["sh", "-c", f"echo '{MARKUP}'; exit 3"],
        name="odd",
        labels=labels,
        network_mode="none",
        detach=True,
    )
    page = tab.open(exporter.url)
    link = page.get_by_role("link", name="odd", exact=True)
    row = page.locator("tr.is-failed").filter(has=link)
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    assert row.locator("td.workload").inner_text().startswith(MARKUP)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    row.get_by_role("link", name="odd", exact=True).click()
    expect(page.locator("pre.log")).to_have_text(MARKUP)


def test_a_lost_server_is_said_and_what_was_missed_is_made_up_for(
    exporter: ExporterProcess, client: docker.DockerClient, tab: Tab
) -> None:
    tab.may_lose_server = True
    page = tab.open(exporter.url)
    mark = page.get_by_role("status")
    expect(mark).to_have_text("live", timeout=PATIENCE_MS)
    exporter.kill()
    expect(mark).to_contain_text("reconnecting since", timeout=PATIENCE_MS)
    client.containers.run(BUSYBOX, ["sh", "-c", "exit 4"], name="missed", network_mode="none", detach=True)
    exporter.start()
    expect(mark).to_have_text("live", timeout=PATIENCE_MS)
    expect(page.locator("tr.is-failed").filter(has_text="missed")).to_be_visible(timeout=PATIENCE_MS)


def test_a_running_job_ends_on_its_page(
    exporter: ExporterProcess, client: docker.DockerClient, tab: Tab
) -> None:
    container = client.containers.run(
        BUSYBOX, ["sleep", "600"], name="sleeper", network_mode="none", detach=True
    )
    page = tab.open(exporter.url)
    page.get_by_role("link", name="sleeper", exact=True).click(timeout=PATIENCE_MS)
    expect(page.get_by_role("status")).to_have_text("live", timeout=PATIENCE_MS)
    expect(page.locator(".entry-running")).to_be_visible()
    container.kill()
    expect(page.locator("p.sentence")).to_contain_text("was asked to send SIGKILL", timeout=PATIENCE_MS)
    expect(page.locator(".entry-end")).to_contain_text("exit code 137, Killed")
