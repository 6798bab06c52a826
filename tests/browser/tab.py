"""A tab of the browser that notes whatever goes wrong in it."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, expect

ROW = "table.jobs tbody tr"
VERBOSE = ("name", "instance", "status", "error", "attempt", "ran", "finished")


class Tab:
    """A page, and the faults in it: console errors, exceptions, dialogs, requests to other servers."""

    def __init__(self, page: Page) -> None:
        """Watch the page."""
        self.page = page
        self.faults: list[str] = []
        self.may_lose_server = False
        self._host = ""
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("request", self._check_host)

    def open(self, url: str) -> Page:
        """Load an address, whose server is the only one that may be asked."""
        self._host = urlsplit(url).netloc
        self.page.goto(url)
        return self.page

    def shows(self, *names: str) -> None:
        """Wait until exactly these jobs are shown, in this order."""
        expect(self.page.locator(f"{ROW} td.name")).to_have_text(names)

    def cells(self, name: str) -> dict[str, str]:
        """Return the cells of a job's row as `ps -v` has them, by title."""
        row = self.page.locator(ROW).filter(has=self.page.get_by_role("link", name=name, exact=True))
        cells = {title: row.locator(f"td.{title}").inner_text().strip() for title in VERBOSE}
        cells["status"] = row.locator("td.status").inner_text().split()[-1]
        return {title.upper(): text for title, text in cells.items()}

    def _note(self, kind: str, text: str) -> None:
        is_outage = self.may_lose_server and "ERR_" in text
        if kind in {"error", "warning"} and not is_outage:
            self.faults.append(f"{kind}: {text}")

    def _check_host(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.netloc != self._host:
            self.faults.append(f"request to {request.url}")
