"""A browser for all tests here, and a tab for each that must load everything from the page's own server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.tab import Tab
from tests.lab.install import ensure_browser, program
from tests.web.served import Served

SCREENSHOTS = "EXIT_EXPORTER_SCREENSHOTS"
"""Variable with the folder that screenshots are kept in; by default pytest's temporary one."""

# After each refresh the page rests for twenty times as long as that took: on a busy machine, for more than
# the five seconds that Playwright waits by itself.
expect.set_options(timeout=60_000)


# Not for the session: while Playwright runs, no other test of the same worker can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium."""
    ensure_browser()
    with sync_playwright() as playwright:
        # Debian's flags for a GPU would be followed on the processor.
        arguments = ["--no-sandbox", "--disable-gpu"]
        chromium = playwright.chromium.launch(executable_path=program("chromium"), args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for screenshots."""
    named = os.environ.get(SCREENSHOTS)
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Return a running server."""
    with Served(tmp_path).running() as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """Return a tab, in which nothing may go wrong unseen.

    A test asks for it after its server, so that it is closed before.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened = Tab(context.new_page())
    yield opened
    context.close()
    assert opened.faults == []
