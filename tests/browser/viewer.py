"""The viewer's page as a person has it, for the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page

from tests.system.gateway_scene import PATIENCE_S

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PLACES = {"r1": (-4.0, 2.0, 0.0), "r2": (3.0, -2.0, 1.5), "r3": (0.0, 0.0, -3.0)}


class Viewer:
    """The page as a person has it, and its complaints."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(**options)
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        self.until("it is live", lambda: self.value("window.mtor?.link") == "live")

    def value(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def until(self, what: str, met: Callable[[], Any]) -> None:
        """Wait, generously; the page's own policy forbids Playwright's in-page waiting."""
        for _ in range(int(PATIENCE_S * 20)):
            if met():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"waited {PATIENCE_S:g} s: {what}; {self.complaints}")

    def shows(self, selector: str, text: str) -> None:
        """Wait until some element that is visible holds the text."""
        self.page.locator(selector, has_text=text).first.wait_for()

    def holds(self, selector: str, text: str) -> None:
        """The same of an element that may have been put away again meanwhile."""
        self.page.locator(selector, has_text=text).first.wait_for(state="attached")
