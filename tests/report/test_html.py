"""Reports as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from colabmagic.report.html import render_html
from colabmagic.report.model import Field, Finding, Listing, Report, Severity, Table

EVIL = "<script>alert('x')</script>&\"'"
REPORT = Report(
    title="Check",
    verdict="BAD",
    summary=EVIL,
    findings=(
        Finding(
            code="c",
            severity=Severity.ERROR,
            title=EVIL,
            evidence=(EVIL,),
            fix=(EVIL, "pip install x"),
        ),
        Finding(code="d", severity=Severity.INFO, title="Only a title."),
    ),
    tables=(Table(caption=EVIL, columns=(EVIL, "B"), rows=((EVIL, EVIL),)),),
    listings=(Listing(caption=EVIL, lines=(EVIL, "!nvcc --version")),),
    fields=(Field(label=EVIL, value=EVIL),),
    elapsed_s=0.5,
)


class Reader(HTMLParser):
    """Collects tags, and checks that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes the last open one."""
        assert self.open.pop() == tag


def read(html: str) -> Reader:
    """Return what is in a page."""
    reader = Reader()
    reader.feed(html)
    assert not reader.open
    return reader


def test_only_plain_tags() -> None:
    """No script, style sheet, picture or link; nothing foreign becomes a tag."""
    names = {tag for tag, _ in read(render_html(REPORT)).tags}
    assert names == {"code", "div", "strong", "table", "tr", "td"}


def test_tables_are_semantic() -> None:
    """Each table and the whole have a label, each header cell its role."""
    tags = read(render_html(REPORT)).tags
    labels = [attributes["aria-label"] for tag, attributes in tags if tag == "table"]
    assert len(labels) == 2
    assert EVIL in labels
    roles = {attributes.get("role") for tag, attributes in tags if tag == "td"}
    assert roles == {"rowheader", "columnheader", None}
    assert tags[0][1]["role"] == "region"
    assert tags[0][1]["aria-label"] == "Check"


def test_reads_in_light_and_dark() -> None:
    """Every style takes the page's colours; none is fixed."""
    for _, attributes in read(render_html(REPORT)).tags:
        style = attributes.get("style")
        if style is not None:
            assert "color:inherit" in style
            assert "background:transparent" in style
            assert "#" not in style
            assert "rgb" not in style


def test_severity_is_a_word() -> None:
    """What matters is said, not coloured."""
    html = render_html(REPORT)
    assert "Why: " in html
    assert "Note: Only a title. [d]" in html


def test_empty_report() -> None:
    """A report of one line has no empty parts."""
    html = render_html(Report(title="T", verdict="V"))
    assert "<table" not in html
    assert html.count("<div") == 2


def test_a_listing_looks_like_what_is_typed() -> None:
    """Each line is code on a line of its own, and none is wrapped."""
    html = render_html(REPORT)
    assert ">!nvcc --version</code></div>" in html
    assert "white-space:pre" in html


def test_a_figure_stays_with_its_unit() -> None:
    """Also in a narrow column, where other words may be parted."""
    table = Table(
        caption="Ways", columns=("way", "fetch"), rows=(("a", "1.5 MB"), ("b", "a b"))
    )
    shown = render_html(Report(title="t", verdict="v", tables=(table,)))
    assert ">1.5&nbsp;MB<" in shown
    assert ">a b<" in shown


def test_a_command_that_is_wrapped_is_seen_to_go_on() -> None:
    """Its second line is further in than the first one of another command."""
    found = Finding(
        code="x", severity=Severity.WARN, title="t", fix=("%pip install x",)
    )
    shown = render_html(Report(title="t", verdict="v", findings=(found,)))
    before = shown[: shown.index("%pip install x")]
    assert "text-indent:-2em" in before[before.rindex("<div") :]
