"""All HTML of the pages. Views put these components together and write no tag themselves.

Every text is escaped, by `Markup.format`. A text that is no `Markup` counts as text from outside and is redacted and
shortened as well (`masking.outside`). Streamlit's sanitizer stands behind this; no script passes through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from lib import formatting
from lib.journal.entry import Entry
from lib.journal.rendering import RenderedEntry
from lib.journal.request_stages import StageState
from lib.journal.text_rules import actor_name
from lib.model.reading import Failure
from lib.model.verdict import CheckStatus, Headline, Hop, HopState, Hypothesis, Tile, Verdict
from lib.ui import labels
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside

Content: TypeAlias = str | Markup
Rows: TypeAlias = list[tuple[str, Content]]

NOTHING = Markup("")
_SANDBOX = Markup('<span class="sb-place sb-sandbox">SANDBOX <small>nothing here is real</small></span>')
_LIVE = Markup('<span class="sb-place sb-live">LIVE <small>real systems, real customers</small></span>')
_LONG_VALUE = 9  # characters, beyond which the number on a tile is set smaller


# Text.


def markup(content: Content) -> Markup:
    """Return content as HTML: a component as it is, a text redacted and escaped."""
    return content if isinstance(content, Markup) else escape(outside(content))


def text(template: str, *parts: object) -> Markup:
    """Put components and texts of our own into a sentence of ours: `text("{}, by {}", when, person(name))`."""
    return escape(template).format(*parts)


def join(parts: Iterable[Markup], separator: str = "") -> Markup:
    """Put components one after another."""
    return escape(separator).join(parts)


def person(name: str) -> Markup:
    """Somebody who works with the desk: the address of their login stays readable, unlike any other address."""
    return escape(actor_name(name))


def by(when: str, name: str) -> Markup:
    """When something was done, and by whom."""
    return text("{}, by {}", when, person(name))


def code(content: str) -> Markup:
    return Markup("<code>{}</code>").format(outside(content))


def bold(content: Content) -> Markup:
    return Markup("<b>{}</b>").format(markup(content))


def paragraph(content: Content) -> Markup:
    return Markup("<p>{}</p>").format(markup(content))


def detail(content: Content) -> Markup:
    """A paragraph in small print."""
    return Markup('<p class="sb-detail">{}</p>').format(markup(content))


def nothing(sentence: str) -> Markup:
    """An empty result that is a fact. The sentence is ours."""
    return Markup('<p class="sb-nothing">{}</p>').format(sentence)


def bullets(items: Iterable[str]) -> Markup:
    return Markup('<ul class="sb-list">{}</ul>').format(join(Markup("<li>{}</li>").format(outside(i)) for i in items))


def chip(sign: Sign, *, text: str | None = None, title: str = "") -> Markup:
    """A state as colour, glyph and word in one."""
    return Markup('<span class="sb-chip sb-{}" title="{}"><b aria-hidden="true">{}</b> {}</span>').format(
        sign.tone, outside(title), sign.glyph, text or sign.word
    )


def signed(items: Iterable[tuple[Sign, str]]) -> Markup:
    """Sentences, each with its sign in front."""
    rows = (Markup("<li>{} {}</li>").format(chip(sign), outside(sentence)) for sign, sentence in items)
    return Markup('<ul class="sb-signed">{}</ul>').format(join(rows))


def log_lines(items: Iterable[tuple[str, Tone]]) -> Markup:
    """Lines of a log, each with a tone, in a box that scrolls."""
    lines = (Markup('<span class="sb-{}">{}</span>').format(tone, outside(line)) for line, tone in items)
    return Markup('<pre class="sb-log" tabindex="0">{}</pre>').format(join(lines))


def age(at: datetime) -> Markup:
    """How old something is. The browser keeps it up to date (`clock.js`)."""
    return Markup('<span class="sb-age" data-sb-at="{}">…</span>').format(round(at.timestamp()))


# Cards, facts and tables.


def card(title: str, body: Markup, *, sign: Sign | None = None) -> Markup:
    """A titled box. The title may hold text from outside."""
    return Markup('<div class="sb-card sb-{}"><h4>{} {}</h4>{}</div>').format(
        sign.tone if sign else Tone.QUIET, chip(sign) if sign else "", outside(title), body
    )


def cards(items: Iterable[Markup]) -> Markup:
    """Cards side by side where there is room."""
    return Markup('<div class="sb-cards">{}</div>').format(join(items))


def facts(rows: Iterable[tuple[str, Content]]) -> Markup:
    """Pairs of a name and what is known."""
    pairs = (Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, markup(value)) for name, value in rows)
    return Markup('<dl class="sb-facts">{}</dl>').format(join(pairs))


def table(heads: Sequence[str], rows: Iterable[Sequence[Content]]) -> Markup:
    """A small table of components. Long ones are drawn by `lib.ui.tables`."""
    head = join(Markup("<th scope='col'>{}</th>").format(name) for name in heads)
    cells = (join(Markup("<td>{}</td>").format(markup(cell)) for cell in row) for row in rows)
    body = join(Markup("<tr>{}</tr>").format(row) for row in cells)
    return Markup(
        '<div class="sb-scroll"><table class="sb-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)


def two_lines(first: str, second: str) -> Markup:
    """A cell of a table with an explanation under its value. Both texts are ours."""
    return Markup("{}<br><small>{}</small>").format(first, second)


def stacked(first: Markup, second: Markup) -> Markup:
    """Two boxes with a line between them."""
    return Markup("{}<br>{}").format(first, second)


def cannot_tell(failure: Failure | None, what: str, since: datetime | None, zone: ZoneInfo, now: datetime) -> Markup:
    """The grey card that stands where something could not be read. Never a zero."""
    sentence = failure.sentence if failure else "The last answer is too old to rest on."
    hint = failure.hint if failure else "The desk asks again by itself."
    at = f" Since {formatting.time_and_age(since, zone, now)}." if since else ""
    return Markup('<div class="sb-card sb-unknown sb-cannot"><h4>{} {}</h4><p>{} {}{}</p></div>').format(
        chip(labels.CANNOT_TELL, text="Cannot tell"), what, outside(sentence), outside(hint), at
    )


# Header and headline.


def place(*, sandbox: bool) -> Markup:
    """Whether this is the sandbox or the real world."""
    return _SANDBOX if sandbox else _LIVE


def source_bar(where: Markup, sources: Iterable[tuple[str, Sign, str]]) -> Markup:
    """Where we are, and each source by its name, sign and the failure that explains the sign."""
    dots = (
        Markup(
            '<span class="sb-source sb-{}" title="{}: {}. {}"><b aria-hidden="true">{}</b>'
            '<span>{} <span class="sb-word">{}</span></span></span>'
        ).format(
            sign.tone, name, sign.word, outside(why), sign.glyph, name, "" if sign.tone is Tone.GOOD else sign.word
        )
        for name, sign, why in sources
    )
    return Markup('<div class="sb-bar">{}{}</div>').format(where, join(dots))


def headline(
    head: Headline, *, rests_on: datetime, zone: ZoneInfo, now: datetime, large: bool, cause: Hypothesis | None = None
) -> Markup:
    """The line that everybody reads. `rests_on` is when the oldest data behind it was observed.

    `large` is the form of the Status page, with since when and the likeliest cause.
    """
    sign = labels.HEADLINE[head.state]
    more = NOTHING
    if large and head.since:
        since = formatting.time_and_age(head.since, zone, now)
        more += Markup('<p class="sb-since">{} {}</p>').format(
            "At least since" if head.since_at_least else "Since", since
        )
    if large and cause:
        more += Markup('<p class="sb-cause">{} <b>{}</b> Next: {}</p>').format(
            chip(labels.VERDICT[cause.verdict]), outside(cause.title), outside(cause.remedy.message)
        )
    return Markup(
        '<div class="sb-headline sb-{tone} {size}" role="status" data-sb-now="{now}">'
        '<span class="sb-glyph" aria-hidden="true">{glyph}</span>'
        '<div class="sb-words"><span class="sb-state">{word}</span>'
        '<span class="sb-sentence">{sentence}</span>{more}</div>'
        '<span class="sb-clock" title="The age of the oldest data that this rests on">data {age} old</span>'
        '<span class="sb-stopped">OLD: no news from the desk for <span data-sb-silence></span></span></div>'
    ).format(
        tone=sign.tone,
        size="sb-large" if large else "",
        now=f"{now.timestamp():.1f}",
        glyph=sign.glyph,
        word=sign.word,
        sentence=outside(head.sentence),
        more=more,
        age=age(rests_on),
    )


def frozen(by_whom: str, when: str, reason: str) -> Markup:
    """The line that says that nothing may be done, and why."""
    return Markup('<div class="sb-card sb-warn"><b>❄ FROZEN</b> No action starts. {}, {}: {}</div>').format(
        person(by_whom), when, outside(reason)
    )


# The diagnosis.


def hops(states: Sequence[HopState], broken: Hop | None) -> Markup:
    """The flow as connected cards; the broken hop carries a mark, a word and its colour."""
    if not states:
        return nothing("No hop was judged yet.")
    return Markup('<ol class="sb-hops">{}</ol>').format(join(_hop(state, state.hop is broken) for state in states))


def _hop(state: HopState, broken: bool) -> Markup:
    sign = labels.CHECK[state.status]
    where = "Here we cannot see" if state.status is CheckStatus.CANNOT_TELL else "Here it breaks"
    mark = Markup('<span class="sb-broken">{}</span>').format(where) if broken else NOTHING
    return Markup(
        '<li class="sb-hop sb-{} {}">{}<span class="sb-name">{}</span>{}<span class="sb-detail">{}</span></li>'
    ).format(
        sign.tone, "sb-is-broken" if broken else "", mark, labels.HOP[state.hop], chip(sign), outside(state.message)
    )


def tiles(items: Sequence[Tile]) -> Markup:
    """The success criteria, big enough to read from across a room."""
    return _tiles(
        (
            outside(item.label),
            outside(item.value) if item.status is not CheckStatus.CANNOT_TELL else "cannot tell",
            outside(item.message),
            labels.CHECK[item.status],
        )
        for item in items
    )


def numbers(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Plain numbers with a label above and words below, without a verdict. The texts are ours."""
    return _tiles((label, value, words, None) for label, value, words in items)


def _tiles(items: Iterable[tuple[str, str, str, Sign | None]]) -> Markup:
    cells = (
        Markup(
            '<div class="sb-tile sb-{}"><span class="sb-name">{}</span><span class="sb-value {}">{}</span>'
            '{}<span class="sb-detail">{}</span></div>'
        ).format(
            sign.tone if sign else Tone.QUIET,
            label,
            "sb-long" if len(value) > _LONG_VALUE else "",
            value,
            chip(sign) if sign else "",
            words,
        )
        for label, value, words, sign in items
    )
    return Markup('<div class="sb-tiles">{}</div>').format(join(cells))


def hypothesis(item: Hypothesis) -> Markup:
    """One possible cause for the owner, with its next step where it is not ruled out."""
    step = Markup('<p class="sb-next"><b>Next step</b> {}</p>').format(outside(item.remedy.message))
    closed = item.verdict in (Verdict.RULED_OUT, Verdict.CANNOT_TELL)
    body = paragraph(item.for_owner) + (NOTHING if closed else step)
    return card(item.title, body, sign=labels.VERDICT[item.verdict])


def check_line(sign: Sign, summary: str, check_id: str) -> Markup:
    return Markup("<div>{} {} <code>{}</code></div>").format(chip(sign), outside(summary), check_id)


def rights(items: Iterable[tuple[Sign, str, str, Sequence[str]]]) -> Markup:
    """What a source lets us do: sign, sentence, its age or speed, and notes from outside."""
    rows = (
        Markup(
            '<li class="sb-{}"><b title="{}" aria-hidden="true">{}</b> {} <span class="sb-detail">{}</span>{}</li>'
        ).format(
            sign.tone,
            sign.word,
            sign.glyph,
            sentence,
            small,
            join(Markup('<div class="sb-detail">{}</div>').format(outside(note)) for note in notes),
        )
        for sign, sentence, small, notes in items
    )
    return Markup('<ul class="sb-rights">{}</ul>').format(join(rows))


# The journal.


def day(title: str, entries: Iterable[Markup]) -> Markup:
    """The entries of one day under its date."""
    return Markup('<h4 class="sb-day">{}</h4><ol class="sb-story">{}</ol>').format(title, join(entries))


def entry(item: Entry, rendered: RenderedEntry, zone: ZoneInfo, *, tone: Tone, glyph: str) -> Markup:
    """One entry of the journal, in the business's time with UTC beside it."""
    local, utc = item.at.astimezone(zone), item.at.astimezone(UTC)
    lines = (line for detail in rendered.details for line in detail.split("\n") if line.strip())
    return Markup(
        '<li class="sb-{}"><time datetime="{}" title="{}">{} <small>{} UTC</small></time>'
        '<div><b aria-hidden="true">{}</b> {} <small class="sb-detail">{} · entry {}</small>{}</div></li>'
    ).format(
        tone,
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{local:%H:%M:%S}",
        f"{utc:%H:%M:%S}",
        glyph,
        outside(rendered.line),
        person(item.actor.name),
        item.seq,
        bullets(lines) if rendered.details else "",
    )


# Actions under way.


def stepper(items: Iterable[tuple[str, StageState]]) -> Markup:
    """The stages of an action in a row: which are done, which one it is at, where it stopped. The names are ours."""
    cells = (
        Markup('<li class="sb-stage sb-{} sb-stage-{}" {}><b aria-hidden="true">{}</b> {}<i>, {}</i></li>').format(
            sign.tone,
            state.value.replace("_", "-"),
            Markup('aria-current="step"') if state is StageState.CURRENT else NOTHING,
            sign.glyph,
            name,
            sign.word,
        )
        for name, state in items
        for sign in (labels.STAGE_STATE[state],)
    )
    return Markup('<ol class="sb-stepper">{}</ol>').format(join(cells))


def sentence(content: str) -> Markup:
    """The one sentence of a dialog that says what will happen. It may hold text from outside."""
    return Markup('<p class="sb-what">{}</p>').format(outside(content))


# A page of its own, without Streamlit: for somebody who may not open a session.

# With the policy of all other pages, no-referrer, browsers call the origin of a form that is sent unknown.
_ENTRANCE = Markup(
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Switchboard</title>'
    '<meta name="referrer" content="same-origin">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">{head}'
    "<style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 sans-serif;max-width:36rem;margin:4rem auto;"
    "padding:0 1rem}}input,button{{font:inherit;padding:.4rem .6rem}}input{{width:100%;box-sizing:border-box;"
    "margin:.3rem 0 .8rem}}</style></head>"
    "<body><h1>Switchboard</h1><h2>{title}</h2><p>{sentence}</p>{form}</body></html>"
)
# It posts to the address that it was asked for, so that a deep link still leads to its page.
_TOKEN_FORM = Markup(
    '<form method="post"><label for="token">Token of this start</label>'
    '<input id="token" name="{}" type="password" autocomplete="off" autofocus required>'
    '<button type="submit">Open</button></form>'
)
_RELOAD = Markup('<meta http-equiv="refresh" content="0">')


def entrance(title: str, sentence: str, *, token_field: str | None = None, reload: bool = False) -> Markup:
    """Return a whole page of HTML in words of our own, with a field for the token if `token_field` names one.

    With `reload` the browser asks again at once.
    """
    form = _TOKEN_FORM.format(token_field) if token_field else NOTHING
    return _ENTRANCE.format(head=_RELOAD if reload else NOTHING, title=title, sentence=sentence, form=form)
