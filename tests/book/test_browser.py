"""The built pages in a real browser: wide and narrow, light and dark.

Only with ``pytest --built-book``, and where Chromium or Chrome is installed. The browser is driven
through its own debugging protocol, over the websocket client that Jupyter brings along.
"""

import asyncio
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tornado.websocket import websocket_connect

from scripts.execute_notebooks import ROOT
from tests.book.test_pages import table_of_contents

HTML = ROOT / "_build" / "html"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SIZES = {"desktop": (1280, 900), "telephone": (390, 844)}
SCHEMES = ("light", "dark")
PAGES = [*table_of_contents(), "genindex", "search"]

# What is wrong with a page, as far as one can see by looking at it. Wide things may scroll inside
# their own box, but the page itself must not.
LOOK = """
(() => {
  const complaints = [];
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth + 1) {
    const wide = [...document.querySelectorAll("main *")]
      .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
      .map(e => e.tagName + "." + e.className).slice(0, 3);
    complaints.push(`page is ${root.scrollWidth} px wide: ${wide.join(", ")}`);
  }
  for (const e of document.querySelectorAll(".math"))
    if (!e.querySelector("mjx-container"))
      complaints.push("equation not rendered: " + e.textContent.slice(0, 60));
  for (const e of document.querySelectorAll("[data-mjx-error]"))
    complaints.push("equation with an error: " + e.dataset.mjxError);
  for (const e of document.images)
    if (e.naturalWidth === 0) complaints.push("picture does not load: " + e.src);
  const levels = [...document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")]
    .filter(e => e.checkVisibility()).map(e => Number(e.tagName[1]));
  if (levels.filter(level => level === 1).length !== 1) complaints.push("not one title");
  levels.forEach((level, i) => {
    if (i && level > levels[i - 1] + 1) complaints.push(`heading ${i + 1} skips a level`);
  });
  return complaints;
})()
"""
READY = """
(async () => {
  document.querySelectorAll("img[loading=lazy]").forEach(e => { e.loading = "eager"; });
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  await Promise.all([...document.images].map(e => e.decode().catch(() => 0)));
})()
"""


class Tab:
    """One page of the browser, told what to do and asked what it sees."""

    def __init__(self, socket):
        self.socket, self.number, self.events = socket, 0, []

    async def tell(self, method: str, **values) -> dict:
        self.number += 1
        await self.socket.write_message(
            json.dumps({"id": self.number, "method": method, "params": values})
        )
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.read_message(), 60))
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    async def ask(self, expression: str):
        result = await self.tell(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def open(self, address: str) -> None:
        self.events.clear()
        await self.tell("Page.navigate", url=address)
        for _ in range(200):
            if await self.ask("document.readyState") == "complete":
                break
            await asyncio.sleep(0.05)
        await self.ask(READY)

    async def looks(self, size: str, scheme: str) -> None:
        width, height = SIZES[size]
        await self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.tell("Emulation.setEmulatedMedia", features=[feature])

    def errors(self) -> list[str]:
        """What the console complained of since the page was opened."""
        found = []
        for event in self.events:
            values = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = values["exceptionDetails"]
                said = details.get("exception", {}).get("description", details["text"])
                found.append(f"{said} ({details.get('url')})")
            if event.get("method") == "Log.entryAdded" and values["entry"]["level"] == "error":
                found.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")
            if event.get("method") == "Runtime.consoleAPICalled" and values["type"] == "error":
                found.append(str(values["args"]))
        return found


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(request):
    """The book, served from this machine alone."""
    if not request.config.getoption("built_book"):
        pytest.skip("needs --built-book and a fresh build")
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome on this machine")
    handler = functools.partial(_Quiet, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(address, tmp_path_factory):
    """Runs a coroutine with a tab of a headless browser that reaches nothing but the book."""
    profile = tmp_path_factory.mktemp("browser")
    process = subprocess.Popen(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
         "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )  # fmt: skip
    port_file = Path(profile) / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not (port_file.exists() and port_file.read_text().count("\n")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    port, path = port_file.read_text().split()[:2]

    def run(visit):
        async def session():
            control = Tab(await websocket_connect(f"ws://127.0.0.1:{port}{path}"))
            target = (await control.tell("Target.createTarget", url="about:blank"))["targetId"]
            tab = Tab(await websocket_connect(f"ws://127.0.0.1:{port}/devtools/page/{target}",
                                              max_message_size=2**28))  # fmt: skip
            for domain in ("Page", "Runtime", "Log"):
                await tab.tell(f"{domain}.enable")
            try:
                return await visit(tab)
            finally:
                await control.tell("Target.closeTarget", targetId=target)

        return asyncio.run(session())

    yield run
    process.kill()
    process.wait()


@pytest.mark.parametrize("page", PAGES)
def test_page_is_whole_on_every_screen(page, browser, address):
    async def visit(tab):
        found = {}
        for size in SIZES:
            for scheme in SCHEMES:
                await tab.looks(size, scheme)
                await tab.open(f"{address}/{page}.html")
                shown = await tab.ask("document.documentElement.dataset.theme")
                complaints = tab.errors() + await tab.ask(LOOK)
                if shown != scheme:
                    complaints.append(f"shown in {shown}")
                if complaints:
                    found[size, scheme] = complaints
        return found

    assert browser(visit) == {}


def test_search_finds_what_the_book_is_about(browser, address):
    async def visit(tab):
        await tab.open(f"{address}/search.html?q=degradation")
        for _ in range(100):
            if await tab.ask("document.querySelectorAll('#search-results li').length"):
                break
            await asyncio.sleep(0.1)
        return await tab.ask("document.querySelectorAll('#search-results li').length")

    assert browser(visit) >= 3


def test_the_sidebar_opens_on_a_telephone(browser, address):
    visible = """
    (() => {
      const links = [...document.querySelectorAll("a.reference.internal[href*='notation']")];
      return links.some(e => {
        const box = e.getBoundingClientRect();
        return e.checkVisibility() && box.width > 0 && box.left >= 0 && box.left < innerWidth
          && e.closest(".bd-sidebar-primary, dialog") !== null;
      });
    })()
    """

    async def visit(tab):
        await tab.looks("telephone", "light")
        await tab.open(f"{address}/{PAGES[1]}.html")
        before = await tab.ask(visible)
        await tab.ask("document.querySelector('.primary-toggle').click()")
        await asyncio.sleep(0.6)
        return before, await tab.ask(visible)

    assert browser(visit) == (False, True)


def test_a_broken_page_would_be_noticed(browser, address, tmp_path_factory):
    async def visit(tab):
        await tab.looks("telephone", "light")
        await tab.open(
            "data:text/html,<main><h3>a</h3><div style='width:900px'>broad</div>"
            "<span class='math'>x^2</span><img src='data:,'></main><script>throw 1</script>"
        )
        return tab.errors(), await tab.ask(LOOK)

    errors, complaints = browser(visit)
    assert errors
    text = " ".join(complaints)
    for wrong in (
        "px wide: DIV",
        "equation not rendered",
        "picture does not load",
        "not one title",
    ):
        assert wrong in text
