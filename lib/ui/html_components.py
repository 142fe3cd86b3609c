"""The pieces that the screen is made of, as HTML. Every word in them is escaped: `Markup.format` sees to it.

Only this module writes HTML. Streamlit's sanitizer stands behind it, and no script passes through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from lib import formatting
from lib.journal.text_rules import actor_name
from lib.model.reading import Failure
from lib.model.verdict import CheckStatus, Headline, Hop, HopState, Hypothesis, Tile, Verdict
from lib.ui import labels
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside

_SANDBOX = Markup('<span class="sb-place sb-sandbox">SANDBOX <small>nothing here is real</small></span>')
_LIVE = Markup('<span class="sb-place sb-live">LIVE <small>real systems, real customers</small></span>')


def place(*, sandbox: bool) -> Markup:
    """Whether this is the sandbox or the real world."""
    return _SANDBOX if sandbox else _LIVE


def join(parts: Iterable[Markup]) -> Markup:
    """Put pieces one after another."""
    return Markup("").join(parts)


def person(name: str) -> Markup:
    """Somebody at this desk: the address of their login stays readable, unlike any other that is shown."""
    return Markup("{}").format(actor_name(name))


def by(when: str, name: str) -> Markup:
    """When something was done and by whom."""
    return Markup("{}, by {}").format(when, person(name))


def chip(sign: Sign, *, text: str | None = None, title: str = "") -> Markup:
    """A state as colour, glyph and word in one."""
    return Markup('<span class="sb-chip sb-{}" title="{}"><b aria-hidden="true">{}</b> {}</span>').format(
        sign.tone, outside(title), sign.glyph, text or sign.word
    )


def age(at: datetime) -> Markup:
    """How old something is, counted on by the browser's clock (`clock.js`)."""
    return Markup('<span class="sb-age" data-sb-at="{}">…</span>').format(round(at.timestamp()))


def headline(
    head: Headline, *, rests_on: datetime, zone: ZoneInfo, now: datetime, large: bool, cause: Hypothesis | None = None
) -> Markup:
    """The line that everybody reads. `rests_on` is the age of the oldest data behind it.

    `large` is the form of Status, with since when and the likeliest cause.
    """
    sign = labels.HEADLINE[head.state]
    more = Markup("")
    if large:
        since = (
            Markup('<p class="sb-since">Since {}</p>').format(formatting.time_and_age(head.since, zone, now))
            if head.since
            else ""
        )
        next_step = (
            Markup('<p class="sb-cause">{} <b>{}</b> Next: {}</p>').format(
                chip(labels.VERDICT[cause.verdict]), outside(cause.title), outside(cause.remedy.message)
            )
            if cause
            else ""
        )
        more = Markup("{}{}").format(since, next_step)
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


def hops(states: Sequence[HopState], broken: Hop | None) -> Markup:
    """The flow as connected cards; the broken hop carries a mark, a word and its colour."""
    if not states:
        return nothing("No hop was judged yet.")
    return Markup('<ol class="sb-hops">{}</ol>').format(join(_hop(state, state.hop is broken) for state in states))


def _hop(state: HopState, broken: bool) -> Markup:
    sign = labels.CHECK[state.status]
    where = "Here we cannot see" if state.status is CheckStatus.CANNOT_TELL else "Here it breaks"
    mark = Markup('<span class="sb-broken">{}</span>').format(where) if broken else Markup("")
    return Markup(
        '<li class="sb-hop sb-{} {}">{}<span class="sb-name">{}</span>{}<span class="sb-detail">{}</span></li>'
    ).format(
        sign.tone, "sb-is-broken" if broken else "", mark, labels.HOP[state.hop], chip(sign), outside(state.message)
    )


def tiles(items: Sequence[Tile]) -> Markup:
    """The success criteria, big enough to read from across a room."""
    return Markup('<div class="sb-tiles">{}</div>').format(join(_tile(item) for item in items))


def _tile(item: Tile) -> Markup:
    sign = labels.CHECK[item.status]
    value = outside(item.value) if item.status is not CheckStatus.CANNOT_TELL else "cannot tell"
    return Markup(
        '<div class="sb-tile sb-{}"><span class="sb-name">{}</span><span class="sb-value {}">{}</span>'
        '{}<span class="sb-detail">{}</span></div>'
    ).format(
        sign.tone,
        outside(item.label),
        "sb-long" if len(value) > 9 else "",
        value,
        chip(sign),
        outside(item.message),
    )


def numbers(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Plain numbers with a label above and words below, without a verdict."""
    cells = (
        Markup(
            '<div class="sb-tile sb-quiet"><span class="sb-name">{}</span>'
            '<span class="sb-value {}">{}</span><span class="sb-detail">{}</span></div>'
        ).format(label, "sb-long" if len(value) > 9 else "", value, detail)
        for label, value, detail in items
    )
    return Markup('<div class="sb-tiles">{}</div>').format(join(cells))


def hypothesis(item: Hypothesis) -> Markup:
    """One possible cause for the owner, with its next step."""
    sign = labels.VERDICT[item.verdict]
    quiet = item.verdict in (Verdict.RULED_OUT, Verdict.CANNOT_TELL)
    step = Markup('<p class="sb-next"><b>Next step</b> {}</p>').format(outside(item.remedy.message))
    return Markup('<div class="sb-card sb-{}"><h4>{} {}</h4><p>{}</p>{}</div>').format(
        sign.tone, chip(sign), outside(item.title), outside(item.for_owner), "" if quiet else step
    )


def card(title: str, body: Markup, *, sign: Sign | None = None) -> Markup:
    """A titled box. The title may hold outside text."""
    return Markup('<div class="sb-card sb-{}"><h4>{} {}</h4>{}</div>').format(
        sign.tone if sign else Tone.QUIET, chip(sign) if sign else "", outside(title), body
    )


def cards(items: Iterable[Markup]) -> Markup:
    """Cards side by side where there is room."""
    return Markup('<div class="sb-cards">{}</div>').format(join(items))


def cannot_tell(failure: Failure | None, what: str, since: datetime | None, zone: ZoneInfo, now: datetime) -> Markup:
    """The grey card that stands where something could not be read. Never a zero."""
    sentence = failure.sentence if failure else "The last answer is too old to rest on."
    hint = failure.hint if failure else "The desk asks again by itself."
    at = Markup(" Since {}.").format(formatting.time_and_age(since, zone, now)) if since else Markup("")
    return Markup('<div class="sb-card sb-unknown sb-cannot"><h4>{} {}</h4><p>{} {}{}</p></div>').format(
        chip(labels.CHECK[CheckStatus.CANNOT_TELL], text="Cannot tell"), what, outside(sentence), outside(hint), at
    )


def nothing(sentence: str) -> Markup:
    """An empty result that is a fact."""
    return Markup('<p class="sb-nothing">{}</p>').format(sentence)


def facts(rows: Iterable[tuple[str, str | Markup]]) -> Markup:
    """Pairs of a name and what is known; text is taken as outside text, pieces as they are."""
    return Markup('<dl class="sb-facts">{}</dl>').format(
        join(
            Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(
                name, value if isinstance(value, Markup) else outside(value)
            )
            for name, value in rows
        )
    )


def bullets(items: Iterable[str]) -> Markup:
    return Markup('<ul class="sb-list">{}</ul>').format(
        join(Markup("<li>{}</li>").format(outside(item)) for item in items)
    )


def signed(items: Iterable[tuple[Sign, str]]) -> Markup:
    """Sentences, each with its sign in front."""
    return Markup('<ul class="sb-signed">{}</ul>').format(
        join(Markup("<li>{} {}</li>").format(chip(sign), outside(text)) for sign, text in items)
    )


def lines(items: Iterable[tuple[str, Tone]]) -> Markup:
    """Lines of a log, each with a tone, in a box that scrolls."""
    return Markup('<pre class="sb-log" tabindex="0">{}</pre>').format(
        join(Markup('<span class="sb-{}">{}</span>').format(tone, outside(text)) for text, tone in items)
    )


def code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(outside(text))


def table(heads: Sequence[str], rows: Iterable[Sequence[Markup]]) -> Markup:
    """A small table of pieces. Long ones are drawn by `lib.ui.tables`."""
    head = join(Markup("<th scope='col'>{}</th>").format(name) for name in heads)
    body = join(Markup("<tr>{}</tr>").format(join(Markup("<td>{}</td>").format(cell) for cell in row)) for row in rows)
    return Markup(
        '<div class="sb-scroll"><table class="sb-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)
