"""The status page in a real browser."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .chromium import Browser
from .conftest import Agent, tell_a_healthy_boot

Start = Callable[..., Agent]

LONG = "x" * 500
FAULT = {
    "fault": "uvm-node-missing",
    "sentence": "/dev/nvidia-uvm is missing",
    "quotes": {"/dev/nvidia-uvm": "missing", LONG: LONG},
    "persistence": "bounded",
    "actor": "provider",
}

LOOKS = {
    "light": {},
    "dark": {"dark": True},
    "phone": {"width": 390, "height": 844, "phone": True},
    "phone, dark": {"width": 390, "height": 844, "phone": True, "dark": True},
}

# The contrast of every piece of text against what lies behind it, by the formula of WCAG 2; those below AA.
CONTRAST = """(() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => { const f = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = element => { for (let e = element; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3]) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !element.checkVisibility() || element.closest("[hidden]")) continue;
    const style = getComputedStyle(element), [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24, ratio = (a + .05) / (b + .05);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}: ${element.textContent.slice(0, 30)}`);
  }
  return bad;
})()"""

# Controls and landmarks as assistive technology finds them.
STRUCTURE = """(() => ({
  lang: document.documentElement.lang, title: document.title, mains: document.querySelectorAll("main").length,
  unnamed: [...document.querySelectorAll("section, [role=region], input, button")].filter(e => {
    const by = e.getAttribute("aria-labelledby"); return !(e.getAttribute("aria-label") || (by && document.getElementById(by)) || e.labels?.length || e.textContent.trim());
  }).length,
  live: [...document.querySelectorAll("[aria-live], [role=status], [role=alert]")].filter(e => !e.hidden).map(e => e.id),
  twice: [...document.querySelectorAll("[id]")].map(e => e.id).filter((id, place, all) => all.indexOf(id) !== place),
}))()"""


@pytest.fixture
def seen(browser: Browser) -> Iterator[Browser]:
    """The browser, which must have nothing to complain of at the end."""
    browser.look()  # whatever the browser still had to say of the page before is heard by now
    browser.complaints.clear()
    browser.requests.clear()
    yield browser
    assert browser.complaints == []
    browser.open("about:blank")
    browser.call("Network.clearBrowserCookies")


def boot_with_everything(agent: Agent) -> None:
    """Each section has something in it, and some of it is long."""
    tell_a_healthy_boot(agent, gpus=8)
    agent.write("condition", "ready", 5.0, condition="degraded", faults=[FAULT], action="note")
    agent.write("check", "ready", 5.0, check=f"exec:{LONG}", level="alive", ok=False, words=LONG)
    agent.write("companion-started", "ready", 5.0, name=f"/start.sh {LONG}", pid=9)
    agent.write("remedy", "ready", 5.0, remedy="raise-limits", outcome="applied", words=LONG)
    (agent.folder / "app.log").write_text(f"Starting server\n{LONG}{LONG}\n\x1b[31mred\x1b[0m\n")


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_can_be_read_everywhere(start: Start, seen: Browser, look: str) -> None:
    agent = start(app=LONG)
    agent.listens()
    boot_with_everything(agent)
    agent.caught_up()

    seen.look(**LOOKS[look])
    seen.open(f"http://127.0.0.1:{agent.port}/")
    seen.until("document.querySelector('.log')")

    assert seen.evaluate(CONTRAST) == []
    width = seen.evaluate("document.documentElement.scrollWidth")
    assert width <= LOOKS[look].get("width", 1200), "nothing sticks out"
    structure = seen.evaluate(STRUCTURE)
    assert structure == {"lang": "en", "title": f"Ready, degraded · {LONG}", "mains": 1, "unnamed": 0, "live": ["headline"], "twice": []}
    dark = seen.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (dark == "rgb(18, 19, 22)") is bool(LOOKS[look].get("dark"))
    place = f"http://127.0.0.1:{agent.port}/"
    assert set(seen.requests) <= {place, f"{place}events", "about:blank"} | {one for one in seen.requests if one.startswith("data:")}
    assert place in seen.requests


def test_the_page_grows_with_the_boot_without_being_loaded_anew(start: Start, seen: Browser) -> None:
    agent = start()
    agent.listens()
    agent.write("boot", "start", command=["app"])
    agent.caught_up()
    seen.open(f"http://127.0.0.1:{agent.port}/")
    seen.evaluate("window.mark = document.getElementById('headline'), 0")
    assert seen.evaluate("document.querySelectorAll('.waterfall li').length") == 1

    agent.write("stage", "probe", 0.1, attempt=1)
    seen.until("document.querySelectorAll('.waterfall li').length == 2")
    assert seen.evaluate("document.getElementById('headline').textContent") == "Bringing CUDA up"
    agent.number = 2
    agent.write("diagnosis", "diagnose", 0.5, usable=1, expected=1)
    agent.write("app-started", "app", 0.6, pid=7, checks=[{"check": "http", "level": "ready"}])
    agent.write("ready", "ready", 4.0)
    seen.until("document.getElementById('headline').textContent == 'Ready'")

    # The live region is the same element, or a screen reader would not hear of the change.
    assert seen.evaluate("window.mark === document.getElementById('headline')")
    assert seen.evaluate("document.title") == "Ready · an app"
    assert seen.evaluate("document.getElementById('now').className") == "now well"
    bars = seen.evaluate("[...document.querySelectorAll('.bar rect:not(.track):not(.gap)')].map(r => [r.getBBox().x, r.getBBox().width])")
    assert all(width > 0 for _, width in bars)
    assert all(before[0] <= after[0] for before, after in itertools.pairwise(bars)), "a waterfall falls to the right"


def test_a_lost_agent_is_told_and_found_again(start: Start, seen: Browser) -> None:
    agent = start()
    port = agent.listens()
    agent.write("boot", "start")
    agent.caught_up()
    seen.open(f"http://127.0.0.1:{port}/")
    assert seen.evaluate("document.getElementById('lost').hidden")

    agent.close()
    seen.until("!document.getElementById('lost').hidden")

    again = start(serve=f"127.0.0.1:{port}")
    again.listens()
    tell_a_healthy_boot(again)
    seen.until("document.getElementById('lost').hidden && document.getElementById('headline').textContent == 'Ready'")
    # The browser itself notes that nobody answered for a while; no script has failed.
    seen.open("about:blank")
    assert all("net::ERR" in complaint for complaint in seen.complaints), seen.complaints
    seen.complaints.clear()


def test_every_part_that_scrolls_can_be_reached_by_keyboard(start: Start, seen: Browser, tmp_path: Path) -> None:
    agent = start()
    agent.listens()
    boot_with_everything(agent)
    agent.caught_up()
    seen.open(f"http://127.0.0.1:{agent.port}/")
    seen.until("document.querySelector('.log')")

    seen.press("Tab", 9)

    assert seen.evaluate("document.activeElement.className") == "log"
    assert seen.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    # What somebody reads with the keyboard is not taken away by news.
    agent.write("log", "ready", 6.0, words="news")
    (agent.folder / "app.log").write_text("another line\n")
    seen.until("document.querySelector('.log').textContent.includes('another line')")
    assert seen.evaluate("document.activeElement.className") == "log"


def test_a_stranger_signs_in_by_keyboard(start: Start, seen: Browser) -> None:
    agent = start(serve="0.0.0.0:0", hosts=["stranger.test"])
    port = agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()
    seen.call("Network.setExtraHTTPHeaders", headers={"X-Forwarded-For": "9.9.9.9"})
    try:
        seen.open(f"http://127.0.0.1:{port}/")
        assert seen.evaluate(CONTRAST) == []
        assert "NVIDIA" not in seen.evaluate("document.documentElement.outerHTML")
        seen.press("Tab", 9)
        assert seen.evaluate("document.activeElement.id") == "token"
        seen.call("Input.insertText", text=agent.token())
        seen._events.clear()
        seen.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
        seen.wait_for("Page.loadEventFired")

        assert "NVIDIA" in seen.evaluate("document.documentElement.outerHTML")
        assert seen.evaluate("document.cookie") == "", "no script can read it"
        seen.complaints = [one for one in seen.complaints if "401" not in one]
    finally:
        seen.call("Network.setExtraHTTPHeaders", headers={})


def test_without_scripts_the_page_comes_anew_by_itself(start: Start, seen: Browser) -> None:
    agent = start()
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()
    seen.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        seen.open(f"http://127.0.0.1:{agent.port}/")
        document = seen.call("DOM.getDocument")["root"]["nodeId"]
        found = seen.call("DOM.querySelector", nodeId=document, selector="noscript meta[http-equiv=refresh]")["nodeId"]
        assert found
    finally:
        seen.call("Emulation.setScriptExecutionDisabled", value=False)


def test_hostile_text_does_nothing(start: Start, seen: Browser) -> None:
    evil = '<img src=x onerror=alert(1)><script>window.hit=1</script>" onload="window.hit=1'
    agent = start(app=evil)
    agent.listens()
    (agent.folder / "app.log").write_text(f"{evil}\n")
    agent.write("boot", "start", command=[evil])
    agent.write("finding", "diagnose", fault=evil, sentence=evil, quotes={evil: evil})
    agent.write("check", "app", check=evil, level=evil, ok=False, words=evil)
    agent.caught_up()

    seen.open(f"http://127.0.0.1:{agent.port}/")
    seen.until("document.querySelector('.log')")
    agent.write("log", "app", words=evil)
    seen.evaluate("new Promise(done => setTimeout(done, 400))")

    assert seen.evaluate("window.hit") is None
    assert seen.evaluate("document.images.length + document.scripts.length") == 1
