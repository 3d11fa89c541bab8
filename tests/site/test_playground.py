"""The playground in a real browser: what a reader does there, and what the real stack makes of it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from synfin.scenario import Host, Link, Scenario, Settings, Step, from_fragment, run, to_fragment
from synfin.scenario.examples import EXAMPLES
from tests.conftest import ROOT, find_program, need

pytestmark = pytest.mark.skipif(
    os.environ.get("SYNFIN_SITE") != "1", reason="the site's own tests run in `make test-site`"
)
PATIENCE_MS = 120_000  # loading an interpreter on a busy machine


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def play_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the playground is served: as `make site` has built it, or built for this."""
    need(find_program("npm"), "the program npm is not installed")
    folder = ROOT / "build" / "site" / "play"
    if not (folder / "index.html").exists():
        folder = tmp_path_factory.mktemp("play")
        subprocess.run([sys.executable, ROOT / "site" / "play" / "build.py", folder], check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class Playground:
    """The page as a reader has it, and what it complained of."""

    def __init__(self, page: Any, address: str) -> None:
        page.set_default_timeout(PATIENCE_MS)
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.begun = self.loaded = self.ended = 0  # interpreters: the last that each fetches is synfin itself
        self.pending: set[Any] = set()  # what has been asked for and has not come yet
        page.on("console", self._hears)
        page.on("pageerror", lambda error: self._note(False, str(error)))
        page.on("request", lambda request: self._note(request.url.startswith((address, "blob:")), request.url))
        page.on("worker", self._begins)
        page.on("request", self._asks)
        page.on("requestfinished", self._loads)
        page.on("requestfailed", self._fails)

    def _note(self, fine: bool, text: str) -> None:
        if not fine:
            self.complaints.append(text)

    def _begins(self, worker: Any) -> None:
        self.begun += 1
        worker.on("close", lambda _: self._ends())

    def _ends(self) -> None:
        self.ended += 1

    def _asks(self, request: Any) -> None:
        self.pending.add(request)

    def _fails(self, request: Any) -> None:
        self.pending.discard(request)

    def _loads(self, request: Any) -> None:
        self.pending.discard(request)
        self.loaded += request.url.endswith("/synfin.zip")

    def _hears(self, message: Any) -> None:
        url = message.location["url"]
        # The browser fetches the icon of a tab when it likes, which no event tells of: perhaps without a network.
        icon = url == f"{self.address}icon.svg" and "ERR_INTERNET_DISCONNECTED" in message.text
        self._note(icon or message.type not in ("error", "warning"), f"{message.text} {url}")

    def load_one_only(self) -> None:
        """The page with an interpreter, but whatever begins after it can't load."""
        self.page.route("**/synfin.zip", lambda route: route.abort() if self.loaded else route.continue_())
        self.load()
        self.until(lambda: self.ended == 1)

    def load(self, fragment: str = "", name: str = "index.html") -> None:
        """The page, with its interpreter; only another fragment, if it is there."""
        self.page.goto(f"{self.address}{name}#{fragment}")
        self.page.locator("body[data-ready=true]").wait_for()

    def open(self, name: str = "conversation") -> None:
        """An example, in the page that there is."""
        self.page.evaluate("name => { location.hash = `example=${name}`; }", name)
        self.until(lambda: self.fragment().startswith("1."))

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(PATIENCE_MS // 25):
            if holds():
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(self.page.inner_text("body"))

    def digest(self) -> str:
        return str(self.page.locator("body").get_attribute("data-digest"))

    def fragment(self) -> str:
        return str(self.page.evaluate("location.hash.slice(1)"))

    def result(self) -> Any:
        """The run of what the address says, here."""
        return run(from_fragment(self.fragment()))

    def changes(self, act: Any) -> None:
        """Do something that changes the scenario, and wait for its run."""
        before = self.fragment()
        act()
        self.until(lambda: self.fragment() != before)

    def choose(self, segment: str) -> None:
        self.page.locator(f"g.segment[data-segment={segment}] .hit").first.click(force=True)
        self.page.locator("#inspector-title").wait_for()

    def do(self, what: str) -> None:
        self.changes(self.page.locator(f"#inspector [data-do={what}]").click)

    def forge(self, kind: str, to: str) -> None:
        self.page.select_option("#forge-kind", kind)
        self.page.select_option("#forge-to", to)
        self.do("forge")

    def marks(self) -> dict[str, str]:
        """What changed, by segment, as the table tells it."""
        self.page.evaluate("document.getElementById('tabling').open = true")
        rows = self.page.locator("#table tbody tr")
        rows.first.wait_for()
        return {str(row.get_attribute("data-segment")): str(row.get_attribute("class")) for row in rows.all()}

    def save(self, button: str) -> Path:
        self.page.locator(".menu summary").click()
        with self.page.expect_download() as found:
            self.page.locator(button).click()
        self.page.locator(".menu summary").click()
        return Path(found.value.path())


@pytest.fixture(scope="module")
def loaded(browser: Any, play_address: str) -> Iterator[Playground]:
    """One page for the tests that need no new one: an interpreter takes seconds to load."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    found = Playground(context.new_page(), play_address)
    found.load()
    yield found
    context.close()


@pytest.fixture
def play(loaded: Playground) -> Iterator[Playground]:
    loaded.complaints.clear()
    yield loaded
    assert loaded.complaints == []


@pytest.fixture
def fresh(browser: Any, play_address: str, request: pytest.FixtureRequest) -> Iterator[Playground]:
    """A page of its own, not loaded yet."""
    options = {"viewport": {"width": 1440, "height": 1000}, **getattr(request, "param", {})}
    context = browser.new_context(**options)
    found = Playground(context.new_page(), play_address)
    yield found
    complaints = list(found.complaints)
    context.close()  # a spare interpreter may still be loading
    assert complaints == []


def test_it_loads_and_draws_the_run_that_python_has_here(play: Playground) -> None:
    play.open()
    assert play.digest() == run(EXAMPLES["conversation"]).digest()
    assert play.page.locator("#diagram g.segment").count() == 6


@pytest.mark.parametrize("name", ["fast-retransmit", "slow-start", "figure-8", "crash"])
def test_an_example_gives_the_same_segments_in_the_browser(name: str, play: Playground) -> None:
    play.open(name)
    assert play.digest() == run(EXAMPLES[name]).digest()


def test_a_dropped_syn_ack_is_seen_again_after_a_second_and_marked(play: Playground) -> None:
    play.open()
    play.choose("s2")
    play.do("drop")
    result = play.result()
    again = [one.sent_us for one in result.segments if one.flags == "SYN,ACK"]
    assert again == [10_000, 1_010_000]
    assert play.digest() == result.digest()
    marks = play.marks()
    assert marks["s2"] == "change-fate"
    assert marks["s4"] == "change-new"
    assert play.page.locator("#diagram g.segment.change-new").count() == 2
    assert "1.010000" in play.page.inner_text("#diagram")
    play.changes(play.page.locator("#undo").click)
    assert play.digest() == run(EXAMPLES["conversation"]).digest()


def test_when_the_last_ack_is_dropped_time_wait_answers(play: Playground) -> None:
    play.open()
    play.choose("s6")
    play.do("drop")
    result = play.result()
    assert [one.flags for one in result.segments[-2:]] == ["FIN,PSH,ACK", "ACK"]
    assert result.states_of("client")[-2:] == ["TIME-WAIT", "CLOSED"]
    play.page.locator("#diagram g.segment[data-segment=s8]").wait_for()


def test_a_forged_reset_outside_the_window_changes_nothing_and_one_inside_is_challenged(play: Playground) -> None:
    play.open()
    play.choose("s4")
    play.forge("rst-outside", "server")
    assert play.result().states_of("server")[-1] == "CLOSED"
    assert len(play.result().segments) == 7
    play.changes(play.page.locator("#doings button").click)
    play.forge("rst-inside", "server")
    assert [one.flags for one in play.result().segments if "f1" in one.because] == ["ACK"]
    assert "RFC 5961" in play.page.inner_text("#diagram")
    play.changes(play.page.locator("#doings button").click)
    play.forge("rst-exact", "server")
    assert play.result().states_of("server")[-2:] == ["CLOSE-WAIT", "CLOSED"]


def test_a_host_is_crashed_by_a_step_that_the_reader_adds(play: Playground) -> None:
    play.open()
    server = play.page.locator(".program").nth(1)
    play.changes(lambda: server.locator("select[data-focus^=add]").select_option("crash"))
    last = server.locator("li").last
    play.changes(lambda: (last.locator("input[data-focus^=at_us]").fill("25"), play.page.keyboard.press("Enter")))
    result = play.result()
    assert [each.result for each in result.outcomes if each.host == "server"][1] == "crashed"
    assert "power off" in play.page.inner_text("#diagram")
    assert any(one.refused == "the host is down" for one in result.segments)


def test_steps_move_and_go(play: Playground) -> None:
    play.open()
    client = play.page.locator(".program").first
    play.changes(client.get_by_role("button", name="Step 2 of client: Move down").click)
    steps = [step.do for step in play.result().scenario.steps if step.host == "client"]
    assert steps == ["open", "shutdown", "write", "read", "close"]
    play.changes(client.get_by_role("button", name="Step 3 of client: Delete").click)
    steps = [step.do for step in play.result().scenario.steps if step.host == "client"]
    assert steps == ["open", "shutdown", "read", "close"]


def test_settings_change_the_run(play: Playground) -> None:
    play.open()
    play.page.evaluate("document.getElementById('settings').open = true")
    msl = play.page.locator("[data-focus='client msl_us']")
    play.changes(lambda: (msl.fill("1000"), play.page.keyboard.press("Enter")))
    assert play.result().ended_us < 3_000_000


def test_a_shared_address_gives_the_same_run_again(play: Playground, fresh: Playground) -> None:
    play.open()
    play.choose("s3")
    play.do("corrupt")
    fresh.load(play.fragment())
    assert fresh.digest() == play.digest() == play.result().digest()


def test_the_exported_test_finds_the_same_segments(play: Playground, tmp_path: Path) -> None:
    play.open("last-ack-lost")
    test = tmp_path / "test_saved.py"
    test.write_bytes(play.save("#save-pytest").read_bytes())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(test)]
    subprocess.run(command, check=True, cwd=tmp_path)


def test_the_capture_and_the_scenario_are_saved(play: Playground) -> None:
    play.open("figure-13")
    assert play.save("#save-pcapng").read_bytes()[:4] == b"\n\r\r\n"
    saved = play.save("#save-json").read_bytes()
    play.open("figure-12")
    play.page.locator(".menu summary").click()
    file = {"name": "a.json", "mimeType": "", "buffer": saved}
    play.changes(lambda: play.page.set_input_files("#open", file))
    assert play.digest() == run(EXAMPLES["figure-13"]).digest()


def test_an_address_that_is_no_scenario_is_told_and_the_page_goes_on(fresh: Playground) -> None:
    fresh.load("1.AAAA")
    fresh.page.locator("#diagram g.segment").first.wait_for()
    assert "This is no scenario: the address is damaged" in fresh.page.inner_text("#error")


def test_a_name_of_markup_stays_text(play: Playground) -> None:
    play.open()
    hostile = {"version": 1, "hosts": [{"name": "a"}, {"name": "b"}], "title": "<img src=x onerror=alert(1)>"}
    play.page.locator(".menu summary").click()
    play.page.set_input_files("#open", {"name": "a.json", "mimeType": "", "buffer": json.dumps(hostile).encode()})
    play.page.locator("svg[aria-label*=onerror]").wait_for()
    assert play.page.locator("img").count() == 0


def test_the_keyboard_alone_drops_a_segment(play: Playground) -> None:
    play.open()
    play.page.locator("#time").focus()
    for _ in range(40):
        play.page.keyboard.press("Tab")
        if play.page.evaluate("document.activeElement.dataset.segment") == "s2":
            break
    play.page.keyboard.press("Enter")
    assert play.page.evaluate("document.activeElement.id") == "inspector-title"
    for _ in range(10):
        play.page.keyboard.press("Tab")
        if play.page.evaluate("document.activeElement.dataset.do") == "drop":
            break
    play.changes(lambda: play.page.keyboard.press("Enter"))
    assert play.result().segments[1].fate == "drop"
    assert play.page.evaluate("document.activeElement.dataset.do") == "drop"


def test_the_slider_shows_the_states_at_a_time(play: Playground) -> None:
    play.open("figure-13")
    slider = play.page.locator("#time")
    slider.focus()
    play.page.keyboard.press("Home")
    assert play.page.locator("#diagram g.segment.future").count() == 6
    remarks = play.page.locator("#diagram g[data-at]")
    dimmed = play.page.locator("#diagram g[data-at].future")
    assert 0 < dimmed.count() < remarks.count()
    states = play.page.locator(".state-now strong")
    assert states.all_inner_texts() == ["SYN-SENT", "LISTEN"]
    for _ in range(5):
        play.page.keyboard.press("ArrowRight")
    assert states.all_inner_texts() == ["CLOSING", "CLOSING"]
    assert "0.110 s" in str(slider.get_attribute("aria-valuetext"))
    play.page.keyboard.press("End")
    assert dimmed.count() == 0


def test_each_of_several_links_is_changed_by_itself(play: Playground) -> None:
    hosts = tuple(Host(name=name) for name in ("left", "right", "third"))
    links = (Link(a="left", b="right"), Link(a="right", b="third", delay_us=20_000))
    steps = (Step(host="right", do="listen", port=80), Step(host="left", do="open", to="right", port=80))
    play.load(to_fragment(Scenario(hosts=hosts, links=links, steps=steps)))
    play.page.evaluate("document.getElementById('settings').open = true")
    play.page.locator("#network legend", has_text="right – third").wait_for()
    legends = play.page.locator("#network legend").all_inner_texts()
    assert [text for text in legends if "–" in text] == ["Link left – right", "Link right – third"]
    delay = play.page.get_by_label("Delay, each way right – third")
    assert delay.input_value() == "20"
    delay.fill("50")
    play.changes(lambda: delay.press("Enter"))
    changed = from_fragment(play.fragment())
    assert [link.delay_us for link in changed.links] == [10_000, 50_000]


def test_a_state_is_shown_at_its_place_in_the_state_diagram(play: Playground) -> None:
    need((ROOT / "site" / "synfin_site" / "state_diagram.py").exists(), "the site's own drawings are not there")
    play.open("figure-13")
    play.page.evaluate("document.getElementById('machine').open = true")
    diagram = play.page.locator("#state-diagram svg")
    diagram.wait_for()
    play.page.locator("#time").focus()
    play.page.keyboard.press("ArrowLeft")
    here = diagram.locator("[data-state]:has(.here-0)").all()
    assert [group.get_attribute("data-state") for group in here] == ["TIME-WAIT"]
    assert diagram.locator(".here-0.here-1").count() == 1


def test_a_segment_opens_to_its_fields_and_bytes_and_why(play: Playground) -> None:
    play.open()
    play.choose("s2")
    text = play.page.inner_text("#inspector")
    assert "s1 arrived" in text
    play.page.locator("#details", has_text="the handshake is complete").wait_for()
    play.page.locator("#inspector .fields tr", has_text="Acknowledgment number").hover()
    assert play.page.locator("#inspector .bytes .lit").count() == 4


def test_another_width_has_its_drawing_and_the_run_stays(play: Playground) -> None:
    play.open("figure-13")
    play.choose("s3")
    digest = play.digest()
    runs = "performance.getEntriesByName('run').length"
    before = play.page.evaluate(runs)
    drawing = play.page.locator("#diagram svg")
    wide = str(drawing.get_attribute("width"))
    play.page.set_viewport_size({"width": 400, "height": 800})
    play.until(lambda: str(drawing.get_attribute("width")) != wide)
    assert play.page.locator("g.segment.chosen").get_attribute("data-segment") == "s3"
    play.page.set_viewport_size({"width": 1440, "height": 1000})
    play.until(lambda: str(drawing.get_attribute("width")) == wide)
    assert play.digest() == digest
    assert play.page.evaluate(runs) == before


def test_cwnd_and_windows_are_plotted(play: Playground) -> None:
    play.open("fast-retransmit")
    play.page.evaluate("document.getElementById('plotting').open = true")
    play.page.locator("#plots svg.synfin-figure").first.wait_for()
    play.page.evaluate("document.getElementById('plotting').open = false")


def stop_a_long_run(play: Playground) -> None:
    small = Settings(mtu=576)
    steps = (Step(host="client", do="open", to="server"), Step(host="client", do="write", bytes=1_900_000))
    listening = tuple(Step(host="server", do=each) for each in ("listen", "accept", "read"))
    long = Scenario(hosts=(Host(name="client", settings=small), Host(name="server")), steps=(*steps, *listening))
    # An interpreter that is warm needs less time for this than the page grants before it offers to stop: here it grants
    # none, and clicks by itself as soon as it can.
    stop = """fragment => {
        const stop = document.getElementById("stop");
        const later = window.setTimeout;
        window.setTimeout = (call, _, ...rest) => later(call, 0, ...rest);
        const watch = new MutationObserver(() => {
            if (stop.hidden) return;
            watch.disconnect();
            window.setTimeout = later;
            stop.click();
        });
        watch.observe(stop, { attributes: true });
        location.hash = fragment;
    }"""
    play.page.evaluate(stop, to_fragment(long))
    play.until(lambda: "Stopped" in play.page.inner_text("#status"))


def test_a_long_run_is_stopped_and_the_next_one_works(play: Playground) -> None:
    play.open()
    stop_a_long_run(play)
    play.open("figure-12")
    assert play.digest() == run(EXAMPLES["figure-12"]).digest()


def test_it_goes_on_without_a_network(fresh: Playground) -> None:
    play = fresh
    play.load()
    # The one that works and its spare are there, and what an interpreter fetches beside is too.
    play.until(lambda: play.begun == play.loaded == 2 and not play.pending)
    play.page.context.set_offline(True)
    play.choose("s2")
    play.do("duplicate")
    play.page.context.set_offline(False)
    assert play.digest() == play.result().digest()


def test_a_spare_interpreter_that_found_no_network_is_replaced_when_there_is_one(fresh: Playground) -> None:
    play = fresh
    play.load_one_only()
    play.page.unroute("**/synfin.zip")
    play.page.context.set_offline(True)
    play.page.context.set_offline(False)
    play.until(lambda: play.begun == 3 and play.loaded == 2)
    play.complaints.clear()
    stop_a_long_run(play)
    play.open("figure-12")
    assert play.digest() == run(EXAMPLES["figure-12"]).digest()


def test_a_run_stopped_without_network_and_spare_is_followed_by_another_when_there_is_one(fresh: Playground) -> None:
    play = fresh
    play.load_one_only()
    stop_a_long_run(play)
    play.until(lambda: play.ended == 3)  # the spare, the one that was stopped, the one that took its place
    play.page.unroute("**/synfin.zip")
    play.complaints.clear()
    play.open("figure-12")
    assert play.digest() == run(EXAMPLES["figure-12"]).digest()


def test_the_page_speaks_chinese(fresh: Playground) -> None:
    play = fresh
    play.load("example=figure-12", "zh-Hans.html")
    text = play.page.inner_text("body")
    assert "程序做什么" in text
    play.page.locator("#time").focus()
    play.page.keyboard.press("ArrowLeft")
    assert "TIME-WAIT 时间等待" in play.page.inner_text("#states")
    assert "个报文段" in play.page.inner_text("#status")


@pytest.mark.parametrize("name", ["index.html", "zh-Hans.html"])
@pytest.mark.parametrize("fresh", [{"viewport": {"width": 360, "height": 800}}], indirect=True)
def test_nothing_is_wider_than_a_phone(name: str, fresh: Playground) -> None:
    play = fresh
    play.load("example=syn-ack-lost", name)
    play.page.locator("g.segment[data-segment=s1] .hit").first.click(force=True)
    assert play.page.evaluate("document.scrollingElement.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme: str, play: Playground) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    play.page.emulate_media(color_scheme=scheme)
    play.open("syn-ack-lost")
    play.choose("s2")
    play.page.evaluate("document.getElementById('settings').open = true")
    found = axe.Axe().run(play.page).response["violations"]
    serious = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found
               if each["impact"] in ("serious", "critical")]  # fmt: skip
    assert serious == []


def test_a_fragment_of_the_site_s_pages_is_a_scenario_s() -> None:
    assert from_fragment(to_fragment(EXAMPLES["figure-6"])) == EXAMPLES["figure-6"]
