"""The snippet for the browser console, in Chromium, on a page built as Colab's is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.keepalive import snippet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, ConsoleMessage, Route
    from playwright.sync_api import Page as BrowserPage

PAGE = (Path(__file__).parent / "pages" / "colab.html").read_text("utf-8")
ADDRESS = "https://notebook.test/drive/train"
TITLE = "train.ipynb - Colab"
START = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MENU = "▾"  # the button beside it
OTHER_LABELS = (
    "Connected",
    "Connect",
    "Connecting",
    "Reconnecting",
    "RECONNECT",
    "Reconnect to a new runtime",
    "Not now, Reconnect",
    "Disconnect",
    "RAM Disk",
    "OK",
    "",
)
STRICT = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-page'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

FORMS = ["now", "paper", "old", "deep"]
QUESTIONS = {
    "captcha": "captcha",
    "captcha_frame": "captcha",
    "captcha_empty": "captcha",
    "presence": "dialog",
    "presence_deep": "dialog",
    "presence_mwc": "dialog",
    "presence_paper": "dialog",
    "presence_role": "dialog",
    "presence_native": "dialog",
}
# What makes the button one that a person could not click, and what is said of it.
UNREACHABLE = {
    "display: none": "hidden",
    "visibility: hidden": "hidden",
    "opacity: 0": "hidden",
    "position: absolute; width: 0; height: 0; overflow: hidden": "hidden",
    "position: absolute; left: -9999px": "hidden",
    "pointer-events: none": "covered",
}


class Notebook:
    """One open page, with a clock that the test moves.

    Parameters
    ----------
    page
        An empty page of the browser.
    policy
        The content security policy that the server sends.
    scripts
        What is in the page itself, after all else.
    """

    def __init__(
        self, page: BrowserPage, policy: str = "", scripts: Sequence[str] = ()
    ) -> None:
        self.page = page
        self.said: list[str] = []
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._headers = {"Content-Type": "text/html; charset=utf-8"}
        if policy:
            self._headers["Content-Security-Policy"] = policy
        tags = [f'<script nonce="page">{script}</script>' for script in scripts]
        self._body = "\n".join([PAGE, *tags])
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.route("**/*", self._answer)
        page.clock.install(time=START)
        page.goto(ADDRESS)
        page.clock.pause_at(START.replace(minute=1))

    def _hear(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def _answer(self, route: Route) -> None:
        if route.request.url != ADDRESS:
            self.requests.append(route.request.url)
            route.abort()
            return
        route.fulfill(body=self._body, headers=self._headers)

    def build(self, **wanted: object) -> None:
        """Put the button and what is around it on the page."""
        self.page.evaluate("wanted => build(wanted)", wanted)
        self.page.evaluate("watch()")

    def paste(self, *, for_s: float = 4 * 3600, every_s: float = 60) -> None:
        """Do what a person does with the console."""
        self.page.evaluate(snippet.source(for_s, every_s))

    def pass_time(self, milliseconds: int) -> None:
        """Let all timers run that are due."""
        self.page.clock.run_for(milliseconds)

    def sleep(self, milliseconds: int) -> None:
        """Close the lid: time passes, timers that are overdue run once afterwards."""
        self.page.clock.fast_forward(milliseconds)

    def js(self, expression: str) -> Any:  # noqa: ANN401 (JSON)
        """Evaluate in the page."""
        return self.page.evaluate(expression)

    def relabel(self, label: str) -> None:
        """Have the button say something else."""
        self.page.evaluate("text => { button().firstChild.data = text; }", label)

    @property
    def status(self) -> dict[str, Any]:
        """What the snippet says of itself."""
        status: dict[str, Any] = self.js("colabmagicKeepalive.status()")
        return status

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events of mouse, keys and focus, wherever they happened."""
        events: list[dict[str, Any]] = self.js("events")
        return events

    @property
    def title(self) -> str:
        """The title of the tab."""
        return self.page.title()

    def heard(self, text: str) -> list[str]:
        """Return the lines in the console that hold a text."""
        return [line for line in self.said if text in line]


def assert_clicks(notebook: Notebook, count: int) -> None:
    """Nothing but the connect button was touched, and it so many times."""
    assert [event["name"] for event in notebook.events] == ["click"] * count
    assert all("connect" in event["ids"] for event in notebook.events)
    assert notebook.errors == []
    assert notebook.requests == []


@pytest.fixture
def tab(browser: Browser) -> Iterator[BrowserPage]:
    """Open an empty page with an empty profile."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture
def notebook(tab: BrowserPage) -> Notebook:
    """Open the notebook, without any policy."""
    return Notebook(tab)


@pytest.mark.parametrize("form", FORMS)
def test_reconnect_is_clicked_once_then_there_is_a_pause(
    notebook: Notebook, form: str
) -> None:
    """The innermost button gets one click; the next comes a minute later, not before."""
    notebook.build(form=form)
    notebook.paste(every_s=5)
    assert_clicks(notebook, 1)
    assert notebook.heard("found") == notebook.heard('says "Reconnect": clicked')
    notebook.pass_time(59_000)
    assert_clicks(notebook, 1)
    notebook.pass_time(6_000)
    assert_clicks(notebook, 2)


def test_the_innermost_button_is_what_is_clicked(notebook: Notebook) -> None:
    """So handlers at every level hear it, as with a mouse."""
    notebook.build()
    notebook.paste()
    (event,) = notebook.events
    assert (event["inner"], event["ids"][:2]) == ("button", ["button", "connect"])


def test_each_language_is_known(notebook: Notebook) -> None:
    """Spaces around the label do not matter."""
    notebook.build(label=OTHER_LABELS[0])
    notebook.paste()
    labels = [text for texts in snippet.RECONNECT_LABELS.values() for text in texts]
    for count, label in enumerate(labels, start=1):
        notebook.relabel(f"\n {label} ")
        notebook.pass_time(MINUTE_MS)
        assert notebook.status["clicks"] == count, label
        notebook.relabel(OTHER_LABELS[0])
        notebook.pass_time(MINUTE_MS)
    assert_clicks(notebook, len(labels))


def test_any_other_label_is_left_alone(notebook: Notebook) -> None:
    """The label must be the whole text."""
    notebook.build(label="")
    notebook.paste()
    for label in OTHER_LABELS:
        notebook.relabel(label)
        notebook.pass_time(2 * MINUTE_MS)
        assert notebook.status["label"] == (label or MENU)
        assert_clicks(notebook, 0)
    assert len(notebook.said) == 2, "it says nothing as long as there is nothing to do"


def test_a_label_is_shown_as_it_is(notebook: Notebook) -> None:
    """The console has signs of its own for formats."""
    notebook.build(label="%c 100 %s")
    notebook.paste()
    assert notebook.heard('it says "%c 100 %s": nothing to do.')


@pytest.mark.parametrize("style", UNREACHABLE)
def test_a_button_that_nobody_could_click_is_not_clicked(
    notebook: Notebook, style: str
) -> None:
    """Hidden in any way, on the button or above it."""
    notebook.build(more={"style": style})
    notebook.paste()
    notebook.pass_time(10 * MINUTE_MS)
    assert_clicks(notebook, 0)
    # What is not drawn has no label that a person could read.
    assert notebook.status["state"] in {UNREACHABLE[style], "other"}
    notebook.js("button().removeAttribute('style')")
    notebook.pass_time(MINUTE_MS)
    assert_clicks(notebook, 1)


@pytest.mark.parametrize("style", ["display: none", "visibility: hidden", "opacity: 0"])
def test_a_hidden_toolbar_hides_its_button(notebook: Notebook, style: str) -> None:
    """What lies above the outermost shadow root counts too."""
    notebook.js(f"document.querySelector('#top-toolbar').style.cssText = '{style}'")
    notebook.build()
    notebook.paste()
    notebook.pass_time(10 * MINUTE_MS)
    assert_clicks(notebook, 0)


@pytest.mark.parametrize(
    "more", [{"disabled": ""}, {"aria-disabled": "true"}, {"inert": ""}]
)
def test_a_disabled_button_is_not_clicked(
    notebook: Notebook, more: dict[str, str]
) -> None:
    """Whichever way it is disabled."""
    notebook.build(more=more)
    notebook.paste()
    notebook.pass_time(10 * MINUTE_MS)
    assert_clicks(notebook, 0)
    assert notebook.status["state"] == "disabled"
    assert len(notebook.heard("is disabled: not clicked")) == 1


def test_a_covered_button_is_not_clicked(notebook: Notebook) -> None:
    """Something lies over it: a person could not reach it either."""
    notebook.build()
    notebook.js("document.querySelector('main').append(make('div', {class: 'cover'}))")
    notebook.paste()
    notebook.pass_time(10 * MINUTE_MS)
    assert_clicks(notebook, 0)
    assert len(notebook.heard("something lies over it")) == 1
    notebook.js("document.querySelector('.cover').remove()")
    notebook.pass_time(MINUTE_MS)
    assert_clicks(notebook, 1)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_left_to_the_person(notebook: Notebook, question: str) -> None:
    """Nothing is clicked, and the tab's title and the console say what to do."""
    notebook.build(question=question)
    if question == "presence_native":
        notebook.pass_time(1)
    focused = len(notebook.events)  # the browser focuses a modal dialog by itself
    notebook.paste()
    notebook.pass_time(30 * MINUTE_MS)
    assert len(notebook.events) == focused
    assert not [event for event in notebook.events if event["name"] != "focusin"]
    assert notebook.status["state"] == QUESTIONS[question]
    mark = "captcha" if QUESTIONS[question] == "captcha" else "Colab asks you something"
    assert re.fullmatch(f"⚠ {mark}.* \\| {re.escape(TITLE)}", notebook.title)
    assert len(notebook.heard("please answer it yourself")) == 1
    notebook.js("events.length = 0; answer(); document.activeElement.blur()")
    notebook.js("events.length = 0")
    notebook.pass_time(6_000)
    assert notebook.title == TITLE
    assert_clicks(notebook, 1)


def test_a_question_that_comes_later_stops_the_clicks(notebook: Notebook) -> None:
    """The page's own changes of its title stay."""
    notebook.build()
    notebook.paste()
    notebook.js("ask('captcha')")
    notebook.pass_time(10 * MINUTE_MS)
    assert_clicks(notebook, 1)
    notebook.js("document.title = 'other.ipynb'")
    notebook.pass_time(6_000)
    assert notebook.title.endswith(" | other.ipynb")
    notebook.js("colabmagicKeepalive.stop()")
    assert notebook.title == "other.ipynb"


def test_closed_dialogs_are_no_question(notebook: Notebook) -> None:
    """Pages keep them, ready to be opened."""
    notebook.build(resting=True)
    notebook.paste()
    assert_clicks(notebook, 1)
    assert notebook.title == TITLE


def test_it_stops_by_itself(notebook: Notebook) -> None:
    """After its time there is no timer, no click, and one line that says so."""
    notebook.build()
    notebook.paste(for_s=600)
    notebook.pass_time(599_000)
    assert notebook.status["running"]
    notebook.pass_time(2_000)
    assert not notebook.status["running"]
    looks, clicks = notebook.status["looks"], notebook.status["clicks"]
    assert notebook.heard("stopped") == notebook.heard("stopped: the time is over")
    notebook.pass_time(2 * HOUR_MS)
    assert (notebook.status["looks"], notebook.status["clicks"]) == (looks, clicks)
    assert_clicks(notebook, clicks)


def test_the_time_asleep_counts(notebook: Notebook) -> None:
    """A laptop that wakes up after the end clicks nothing any more."""
    notebook.build(label="Connected")
    notebook.paste(for_s=3600)
    notebook.relabel("Reconnect")
    notebook.sleep(5 * HOUR_MS)
    notebook.pass_time(10 * MINUTE_MS)
    assert not notebook.status["running"]
    assert_clicks(notebook, 0)


def test_the_time_asleep_counts_where_only_the_wall_clock_tells(
    notebook: Notebook,
) -> None:
    """On some systems the other clock of the browser stands still meanwhile."""
    notebook.build(label="Connected")
    notebook.paste(for_s=3600)
    notebook.relabel("Reconnect")
    notebook.js("const now = Date.now; Date.now = () => now() + 18000000; 'asleep'")
    notebook.pass_time(MINUTE_MS)
    assert not notebook.status["running"]
    assert_clicks(notebook, 0)


def test_no_burst_after_a_sleep(notebook: Notebook) -> None:
    """What was missed is not made up for."""
    notebook.build()
    notebook.paste(for_s=12 * 3600)
    looks = notebook.status["looks"]
    notebook.sleep(3 * HOUR_MS)
    assert notebook.status["looks"] == looks + 1
    assert_clicks(notebook, 2)


def test_a_clock_that_is_set_back_does_not_prolong_it(notebook: Notebook) -> None:
    """The other clock of the browser goes on."""
    notebook.build()
    notebook.paste(for_s=600)
    notebook.pass_time(60_000)
    notebook.js("const now = Date.now; Date.now = () => now() - 7200000; 'back'")
    notebook.pass_time(545_000)
    assert not notebook.status["running"]


def test_stop_stops(notebook: Notebook) -> None:
    """At once, once; a second word changes nothing."""
    notebook.build(label="Connected")
    notebook.paste()
    notebook.js("colabmagicKeepalive.stop()")
    notebook.js("colabmagicKeepalive.stop()")
    notebook.relabel("Reconnect")
    notebook.pass_time(HOUR_MS)
    assert_clicks(notebook, 0)
    assert not notebook.status["running"]
    assert len(notebook.heard("stopped: you said so. Clicks: 0.")) == 1


def test_a_second_paste_replaces_the_first(notebook: Notebook) -> None:
    """One runs, and the pause between clicks is kept."""
    notebook.build()
    notebook.paste(every_s=5)
    notebook.pass_time(20_000)
    notebook.paste(every_s=5)
    assert len(notebook.heard("stopped: pasted again")) == 1
    notebook.pass_time(39_000)
    assert_clicks(notebook, 1)
    notebook.pass_time(5_000)
    assert_clicks(notebook, 2)
    looks = notebook.status["looks"]
    notebook.js("colabmagicKeepalive.stop()")
    notebook.pass_time(HOUR_MS)
    assert notebook.status["looks"] == looks
    assert_clicks(notebook, 2)


def test_without_the_button_it_says_so_within_five_seconds(notebook: Notebook) -> None:
    """It goes on looking, and says it once."""
    notebook.build(form=None)
    notebook.paste()
    notebook.pass_time(5_000)
    assert len(notebook.heard("the connect button was not found")) == 1
    assert not notebook.status["found"]
    notebook.pass_time(HOUR_MS)
    assert len(notebook.heard("the connect button was not found")) == 1
    assert_clicks(notebook, 0)


@pytest.mark.parametrize("after_ms", [2_500, 20 * MINUTE_MS])
def test_a_button_that_comes_later_is_found(notebook: Notebook, after_ms: int) -> None:
    """Colab builds its page slowly, and anew."""
    notebook.build(form=None)
    notebook.paste()
    notebook.pass_time(after_ms)
    notebook.js("document.querySelector('#top-toolbar').append(FORMS.now('Reconnect'))")
    notebook.pass_time(MINUTE_MS)
    assert_clicks(notebook, 1)
    assert bool(notebook.heard("was not found")) == (after_ms > 5_000)


def test_clicks_that_change_nothing_become_rarer(notebook: Notebook) -> None:
    """1, 2, 4, 8 and then 15 minutes apart, until the button says something else."""
    notebook.build()
    notebook.paste(for_s=12 * 3600)
    seen: list[int] = []
    for minute in range(1, 47):
        notebook.pass_time(MINUTE_MS)
        if notebook.status["clicks"] > len(seen) + 1:
            seen.append(minute)
    assert seen == [1, 3, 7, 15, 30, 45]
    notebook.relabel("Connected")
    notebook.pass_time(MINUTE_MS)
    notebook.relabel("Reconnect")
    notebook.pass_time(MINUTE_MS)
    assert_clicks(notebook, len(seen) + 2)


def test_it_leaves_the_page_as_it_is(notebook: Notebook) -> None:
    """No change of the page, no storage, no request; one name in the window."""
    notebook.build(question="presence")
    names = set(notebook.js("Object.getOwnPropertyNames(window)"))
    notebook.paste()
    notebook.pass_time(MINUTE_MS)
    notebook.js("answer()")
    notebook.js("changes.length = 0")
    notebook.pass_time(3 * HOUR_MS)
    assert notebook.status["clicks"] > 5
    assert set(notebook.js("changes")) <= {"childList of TITLE"}
    new = set(notebook.js("Object.getOwnPropertyNames(window)")) - names
    assert new == {"colabmagicKeepalive"}
    assert notebook.js(
        "[document.cookie, localStorage.length, sessionStorage.length]"
    ) == [
        "",
        0,
        0,
    ]
    assert notebook.js("indexedDB.databases()") == []
    assert_clicks(notebook, notebook.status["clicks"])


def test_it_runs_below_a_strict_policy(tab: BrowserPage) -> None:
    """As a script of the page it may neither make code from text nor set HTML."""
    question = "build({question: 'presence'}); document.activeElement.blur();"
    notebook = Notebook(tab, STRICT, [question, snippet.explained()])
    assert notebook.title.startswith("⚠ Colab asks you something | ")
    notebook.js("answer()")
    notebook.pass_time(6_000)
    assert_clicks(notebook, 1)
    assert notebook.js("violations") == []


def test_the_policy_of_these_tests_is_strict(tab: BrowserPage) -> None:
    """It would have refused what the snippet does without."""
    evil = (
        "try { document.body.innerHTML = '<b>'; } catch { violations.push('caught'); }"
    )
    notebook = Notebook(tab, STRICT, [evil, "fetch('/x').catch(() => null);"])
    refused = {"require-trusted-types-for", "caught", "connect-src"}
    assert set(notebook.js("violations")) == refused


def test_it_is_light(notebook: Notebook) -> None:
    """One look a minute and one timer at a time, and nothing that runs in between."""
    notebook.build(label="Connected")
    notebook.js(
        "window.timers = 0; const set = window.setTimeout;"
        " window.setTimeout = (...all) => { timers += 1; return set(...all); };"
        " for (const name of ['setInterval', 'requestAnimationFrame', 'MutationObserver',"
        " 'requestIdleCallback', 'IntersectionObserver', 'Worker', 'fetch',"
        " 'XMLHttpRequest', 'WebSocket', 'EventSource'])"
        " window[name] = function () { throw new Error(name); };"
        " 'done'"
    )
    notebook.paste()
    notebook.pass_time(HOUR_MS)
    assert notebook.js("timers") == notebook.status["looks"] == 61
    assert_clicks(notebook, 0)


def test_what_the_magic_shows_can_be_pasted_whole(notebook: Notebook) -> None:
    """The words above the script are a comment, and line ends may get lost."""
    notebook.build()
    notebook.js(snippet.explained(for_s=90 * 60).replace("\n", " "))
    assert_clicks(notebook, 1)
    (start,) = notebook.heard("runs until")
    assert "Google does not support this" in start
    assert "cannot keep a VM alive against Colab's limits" in start
    until = datetime.fromisoformat(notebook.status["until"])
    assert (until - START).total_seconds() == pytest.approx(91 * 60, abs=5)
