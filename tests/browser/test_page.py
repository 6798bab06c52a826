"""The page in a browser: filters, pages, keys, themes, sizes, accessibility, and without JavaScript."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from exporter.model import Workload
from exporter.store import Batch
from tests.browser import axe
from tests.browser.tab import Tab
from tests.cli.outputs import fill, fill_more
from tests.store.samples import BEGAN_NS, OOM, SECOND_NS, ended, job
from tests.web.served import Served

PATHS = {
    "list": "/",
    "filtered": "/?status=failed",
    "job": "/jobs/own-limit",
    "workload": "/workloads/shop%2Fworker",
    "long": "/jobs/777777777777-1",
}
WIDTHS = (390, 1024, 1600, 1920)


def test_filters_are_chosen_and_removed_by_clicks_and_stand_in_the_address(served: Served, tab: Tab) -> None:
    fill(served)
    page = tab.open(served.url)
    page.get_by_label("Status").select_option("failed")
    expect(page).to_have_url(f"{served.url}/?status=failed")
    tab.shows("gentle-stingray-1", "mistyped", "long-ago")
    page.get_by_role("link", name="OOMKilled 1").click()
    expect(page).to_have_url(f"{served.url}/?status=failed&reason=OOMKilled")
    tab.shows("gentle-stingray-1")
    page.get_by_role("link", name="remove all").click()
    page.get_by_text("More").click()
    page.get_by_label("Host").fill("node-2")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(f"{served.url}/?host=node-2")
    tab.shows("stopped")


def test_older_jobs_come_by_a_click_and_the_way_back_too(served: Served, tab: Tab) -> None:
    served.store.commit(
        Batch(ended=[ended(job(f"{n:x}", name=f"n{n}", start_event_ns=BEGAN_NS + n), 0) for n in range(3)])
    )
    page = tab.open(f"{served.url}/?limit=2")
    page.get_by_role("link", name="Older").click()
    tab.shows("n0")
    page.go_back()
    tab.shows("n2", "n1")


def test_everything_is_reached_by_keys(served: Served, tab: Tab) -> None:
    fill(served)
    page = tab.open(served.url)
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("sting/")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{served.url}/?text=sting")
    expect(page.get_by_role("status")).to_have_text("live")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="gentle-stingray-1")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("gentle-stingray-1")


def test_a_refresh_keeps_the_focus_and_marks_what_is_new(served: Served, tab: Tab) -> None:
    fill(served)
    page = tab.open(served.url)
    expect(page.get_by_role("status")).to_have_text("live")
    page.get_by_role("link", name="mistyped").focus()
    served.commit(Batch(ended=[ended(job("9", name="fresh", start_event_ns=BEGAN_NS + 9), 1)]))
    expect(page.locator("tr.is-new td.name")).to_have_text("fresh")
    expect(page.get_by_role("link", name="mistyped")).to_be_focused()


def test_the_theme_follows_the_system_until_one_is_chosen(served: Served, tab: Tab) -> None:
    page = tab.open(served.url)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert light != dark
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(background) == light
    page.reload()
    assert page.evaluate(background) == light


def test_ages_become_times_of_day_and_back(served: Served, tab: Tab) -> None:
    served.store.commit(Batch(ended=[ended(job("a"), 1)]))
    page = tab.open(served.url)
    time = page.locator("td.finished time")
    expect(time).to_have_text("0s ago")
    page.get_by_role("button", name="12:00").click()
    expect(time).to_have_text("2100-01-01 00:01:30")
    page.reload()
    expect(time).to_have_text("2100-01-01 00:01:30")


def test_the_command_is_copied(served: Served, tab: Tab) -> None:
    served.store.commit(Batch(ended=[ended(job("a"), 1)]))
    page = tab.open(f"{served.url}/jobs/gentle-stingray-a")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    # A refresh leaves it so.
    served.commit(Batch(ended=[ended(job("b"), 1)]))
    expect(page.get_by_role("list", name="Runs of this workload").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#command").inner_text()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_size_or_theme_has_a_serious_fault(
    served: Served, tab: Tab, screenshots: Path, width: int, scheme: str
) -> None:
    fill(served)
    fill_more(served)
    long = job("7", name="n" * 500, workload=Workload("w" * 200, "i"), instance="h" * 500, image="i" * 500)
    served.store.commit(Batch(ended=[ended(long, 137, OOM, log_tail="l" * 4096)]))
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for name, path in PATHS.items():
        page = tab.open(served.url + path)
        expect(page.get_by_role("status")).to_have_text("live")
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert axe.faults(page) == [], name


def test_without_javascript_everything_is_there(browser: Browser, served: Served) -> None:
    fill(served)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url)
    page.get_by_label("Search").fill("mistyped")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="mistyped", exact=True).click()
    expect(page.locator("p.sentence")).to_contain_text("CommandNotFound: ")
    expect(page.get_by_role("button")).to_have_count(0)
    context.close()


def test_the_whole_page_is_below_a_hundred_kilobytes(served: Served, tab: Tab) -> None:
    began_ns = BEGAN_NS - 60 * SECOND_NS
    jobs = [job(f"{n:064x}", container_id=f"{n:064x}", start_event_ns=began_ns + n) for n in range(20)]
    served.store.commit(Batch(ended=[ended(each, 137, OOM) for each in jobs]))
    page = tab.open(served.url)
    expect(page.get_by_role("status")).to_have_text("live")
    names = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    paths = {name.removeprefix(served.url) for name in names} - {"/api/v1/stream"}
    assert {"/static/page.css", "/static/page.js"} < paths
    assert sum(len(served.ask(path).content) for path in {"/", *paths}) < 100_000
