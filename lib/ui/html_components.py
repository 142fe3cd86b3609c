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
from lib.journal.last_headline import LastHeadline
from lib.journal.request_stages import StageState
from lib.journal.text_rules import actor_name
from lib.model.reading import Failure
from lib.model.verdict import CheckStatus, Headline, Hop, HopState, Hypothesis, Tile
from lib.owner_summary import QUESTION, OwnerSummary
from lib.ui import labels
from lib.ui.labels import Sign, Tone
from lib.ui.masking import code_line, outside

Content: TypeAlias = str | Markup
Rows: TypeAlias = list[tuple[str, Content]]

NOTHING = Markup("")
_SANDBOX = Markup('<span class="sb-place sb-sandbox">SANDBOX <small>nothing here is real</small></span>')
_LIVE = Markup('<span class="sb-place sb-live">LIVE <small>real systems, real customers</small></span>')
_TROUBLED = (Tone.BAD, Tone.WARN, Tone.UNKNOWN)
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


def code_lines(lines: Iterable[tuple[int, str]], marked: int) -> Markup:
    """Lines of code with their numbers; the one that matters stands out, and says so without colour too."""
    rows = (
        Markup('<span class="sb-line{}"><span class="sb-line-number">{}{}</span>{}\n</span>').format(
            " sb-marked" if number == marked else "",
            Markup('<b role="img" aria-label="This line:">▸</b>') if number == marked else "",
            number,
            code_line(text),
        )
        for number, text in lines
    )
    return Markup('<pre class="sb-code" tabindex="0">{}</pre>').format(join(rows))


def link(label: str, address: str | None) -> Markup:
    """A link to another site in a tab of its own; the text alone without an address. Only https leads anywhere."""
    if address is None or not address.startswith("https://"):
        return markup(label)
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(address, outside(label))


# Cards, facts and tables.


def card(title: str, body: Markup, *, sign: Sign | None = None) -> Markup:
    """A titled box. The title may hold text from outside."""
    return Markup('<div class="sb-card sb-{}"><h4>{} {}</h4>{}</div>').format(
        sign.tone if sign else Tone.QUIET, chip(sign) if sign else "", outside(title), body
    )


def not_possible(reasons: Iterable[tuple[str, str]]) -> Markup:
    """What cannot be done now, and why not."""
    items = (Markup("<li><b>{}</b> {}</li>").format(outside(what), outside(why)) for what, why in reasons)
    return Markup('<div class="sb-detail">Not possible now<ul class="sb-list">{}</ul></div>').format(join(items))


def misfit(title: str, chips: Markup, code_: Markup, rows: Markup) -> Markup:
    """A line of code that the database refuses: what is refused, the code, and what is known of it."""
    return Markup('<div class="sb-misfit"><h4>{}</h4><div>{}</div>{}{}</div>').format(
        outside(title), chips, code_, rows
    )


def live_line(what: str, sign: Sign, rows: Iterable[Content]) -> Markup:
    """What one hostname serves: `what` in large, the sign behind it, and small lines below."""
    below = join(Markup("<p class='sb-detail'>{}</p>").format(markup(row)) for row in rows)
    return Markup('<div class="sb-card sb-livebox sb-{}"><h3>{} {}</h3>{}</div>').format(
        sign.tone, outside(what), chip(sign), below
    )


def cards(items: Iterable[Markup]) -> Markup:
    """Cards side by side where there is room."""
    return Markup('<div class="sb-cards">{}</div>').format(join(items))


def facts(rows: Iterable[tuple[str, Content]], *, short: bool = False) -> Markup:
    """Pairs of a name and what is known. `short` ones stay side by side on a phone."""
    pairs = (Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, markup(value)) for name, value in rows)
    return Markup('<dl class="sb-facts {}">{}</dl>').format("sb-short" if short else "", join(pairs))


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


def cannot_tell(failure: Failure | None, what: str, since: datetime | None, zone: ZoneInfo, now: datetime) -> Markup:
    """The grey card that stands where something could not be read. Never a zero."""
    sentence = failure.sentence if failure else "The last answer is too old to rely on."
    hint = failure.hint if failure else "Switchboard retries automatically."
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
            '<span class="sb-source sb-{} {}" title="{}: {}. {}"><b aria-hidden="true">{}</b>'
            '<span>{} <span class="sb-word">{}</span></span></span>'
        ).format(
            sign.tone,
            "" if sign.tone in _TROUBLED else "sb-no-trouble",
            name,
            sign.word,
            outside(why),
            sign.glyph,
            name,
            "" if sign.tone is Tone.GOOD else sign.word,
        )
        for name, sign, why in sources
    )
    return Markup('<div class="sb-bar">{}{}</div>').format(where, join(dots))


def page_title(title: str) -> Markup:
    """The page's one heading of the first level."""
    return Markup('<h1 class="sb-page">{}</h1>').format(title)


def headline(
    head: Headline,
    *,
    rests_on: datetime,
    zone: ZoneInfo,
    now: datetime,
    large: bool,
    owner: OwnerSummary | None = None,
    cause: Hypothesis | None = None,
) -> Markup:
    """What everybody reads: the owner's two lines first, the technical sentence beneath.

    `rests_on` is when the oldest data behind it was observed. `large` is the form of the Status page, with since when,
    who is needed and the likeliest cause. Without `owner` only the technical sentence stands there.
    """
    sign = labels.HEADLINE[head.state]
    return Markup(
        '<div class="sb-headline sb-{tone} {size}" role="status" data-sb-now="{now}">'
        '<span class="sb-glyph" aria-hidden="true">{glyph}</span>'
        '<div class="sb-words"><span class="sb-state">{word}</span>{first}'
        '<p class="sb-sentence">{sentence}</p>{more}</div>'
        '<span class="sb-clock" title="The age of the data that this rests on">data {age} old</span>'
        '<span class="sb-stopped">OLD: no news from the desk for <span data-sb-silence></span></span></div>'
    ).format(
        tone=sign.tone,
        size="sb-large" if large else "",
        now=f"{now.timestamp():.1f}",
        glyph=sign.glyph,
        word=sign.word,
        first=_owner_lines(owner, _since(head, zone, now) if large else NOTHING) if owner else NOTHING,
        sentence=outside(head.sentence),
        more=_cause(cause, owner.code_line if owner else "") if large and cause else NOTHING,
        age=age(rests_on),
    )


def _owner_lines(owner: OwnerSummary, since: Markup) -> Markup:
    needed = (
        Markup("Needed: <b>{}</b>.").format(outside(owner.needed)) if since is not NOTHING and owner.needed else NOTHING
    )
    small = join((part for part in (since, needed) if part), " ")
    return Markup('<h2 class="sb-answer">{} <b>{}</b></h2><p class="sb-wrong">What is wrong: {}. {}</p>{}').format(
        owner.question,
        outside(owner.answer),
        outside(owner.wrong),
        outside(owner.stuck),
        Markup('<p class="sb-since">{}</p>').format(small) if small else NOTHING,
    )


def _since(head: Headline, zone: ZoneInfo, now: datetime) -> Markup:
    if head.since is None:
        return Markup(" ")
    begins = "At least since" if head.since_at_least else "Since"
    return text("{} {}.", begins, formatting.time_and_age(head.since, zone, now))


def _cause(cause: Hypothesis, code_line: str) -> Markup:
    line = Markup(' <span class="sb-code-line">{}.</span>').format(outside(code_line)) if code_line else NOTHING
    return Markup('<p class="sb-cause">{} <b>{}.</b>{}</p>').format(
        chip(labels.VERDICT[cause.verdict]), outside(cause.title), line
    )


def frozen(by_whom: str, when: str, reason: str) -> Markup:
    """The line that says that nothing may be done, and why."""
    return Markup('<div class="sb-card sb-warn"><b>❄ FROZEN</b> No action starts. {}, {}: {}</div>').format(
        person(by_whom), when, outside(reason)
    )


# The diagnosis.


def hops(states: Sequence[HopState], broken: Hop | None, *, short: bool = False) -> Markup:
    """The flow as connected cards; the broken hop carries a mark, a word and its colour. `short` is without details."""
    if not states:
        return nothing("No hop was judged yet.")
    return Markup('<ol class="sb-hops {}">{}</ol>').format(
        "sb-short" if short else "", join(_hop(state, state.hop is broken) for state in states)
    )


def running(lines: Iterable[Markup]) -> Markup:
    """What is under way, in a box."""
    return Markup('<div class="sb-card sb-warn sb-running">{}</div>').format(join(lines))


_MARKS = {
    CheckStatus.FAIL: "Here it breaks",
    CheckStatus.WARN: "Here it is not in order",
    CheckStatus.CANNOT_TELL: "Here we cannot see",
}


def _hop(state: HopState, marked: bool) -> Markup:
    """One hop; `marked` is the one that the headline is about. On a quiet day nothing is broken there."""
    sign = labels.CHECK[state.status]
    unseen = state.hop is Hop.VISIBILITY and state.status is CheckStatus.FAIL
    where = _MARKS.get(CheckStatus.CANNOT_TELL if unseen else state.status, "") if marked else ""
    mark = Markup('<span class="sb-broken">{}</span>').format(where) if where else NOTHING
    return Markup(
        '<li class="sb-hop sb-{} {}">{}<span class="sb-name">{}</span>{}<span class="sb-detail">{}</span></li>'
    ).format(
        sign.tone, "sb-is-broken" if where else "", mark, labels.HOP[state.hop], chip(sign), outside(state.message)
    )


def tiles(items: Sequence[Tile]) -> Markup:
    """The success criteria, big enough to read from across a room."""
    return _tiles(_tile_cell(item) for item in items)


def _tile_cell(item: Tile) -> tuple[str, str, str, Sign]:
    value = outside(item.value) if item.status is not CheckStatus.CANNOT_TELL else "cannot tell"
    return outside(item.label), value, outside(item.message), labels.CHECK[item.status]


def numbers(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Plain numbers with a label above and words below, without a verdict. The texts are ours."""
    return _tiles((label, value, words, None) for label, value, words in items)


def _tiles(items: Iterable[tuple[str, str, str, Sign | None]]) -> Markup:
    cells = (
        Markup(
            '<div class="sb-tile sb-{}"><span class="sb-name">{}</span><span class="sb-number">'
            '<span class="sb-value {}">{}</span>{}</span><span class="sb-detail">{}</span></div>'
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


def cause(item: Hypothesis, consequences: Sequence[Hypothesis], advice: str) -> Markup:
    """One possible cause for the owner, with what follows from it as a list inside.

    `advice` stands where no button or link names the next step.
    """
    body = paragraph(item.for_owner)
    if consequences:
        rows = (Markup("<li>{}</li>").format(outside(one.title)) for one in consequences)
        body += Markup('<p class="sb-next"><b>It also explains</b></p><ul class="sb-list">{}</ul>').format(join(rows))
    if advice:
        body += Markup('<p class="sb-next"><b>Next step</b> {}</p>').format(outside(advice))
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


def rows_that_open(items: Iterable[tuple[Sign, str, str, Markup]]) -> Markup:
    """One line each: sign, name and a sentence, both perhaps from outside; the component opens under it."""
    rows = (
        Markup(
            '<li class="sb-{}"><details><summary>{} <b>{}</b> <span class="sb-detail">{}</span></summary>'
            "{}</details></li>"
        ).format(sign.tone, chip(sign), outside(name), outside(sentence), body)
        for sign, name, sentence, body in items
    )
    return Markup('<ul class="sb-rows">{}</ul>').format(join(rows))


# The journal.


def day(title: str, entries: Iterable[Markup]) -> Markup:
    """The entries of one day under its date."""
    return Markup('<h4 class="sb-day">{}</h4><ol class="sb-story">{}</ol>').format(title, join(entries))


def event(
    first: Entry, last: Entry, said: tuple[str, Sequence[str]], zone: ZoneInfo, *, tone: Tone, glyph: str
) -> Markup:
    """One event of the journal in one line, in the business's time; its details and UTC open under it.

    `first` and `last` are its entries: one and the same, but for what took several.
    """
    line, details = said
    until = f" to {last.at.astimezone(UTC):%H:%M:%S}" if last is not first else ""
    numbers = f"entries {first.seq} to {last.seq}" if last is not first else f"entry {first.seq}"
    small = Markup('<small class="sb-detail">{} · {:%H:%M:%S}{} UTC · {}</small>').format(
        person(last.actor.name), first.at.astimezone(UTC), until, numbers
    )
    lines = [part for detail in details for part in detail.split("\n") if part.strip()]
    title = Markup('<b aria-hidden="true">{}</b> {} {}').format(glyph, outside(line[:1].upper() + line[1:]), small)
    body = (
        Markup("<details><summary>{}</summary>{}</details>").format(title, bullets(lines))
        if lines
        else Markup("<div>{}</div>").format(title)
    )
    return Markup('<li class="sb-{}"><time datetime="{}">{}</time>{}</li>').format(
        tone, last.at.astimezone(UTC).isoformat(), f"{last.at.astimezone(zone):%H:%M:%S}", body
    )


# People and texts.


def people(summary: str, about: str, *, waiting: bool) -> Markup:
    """How many people there are and how far helping them is, in a line. The texts are ours."""
    tone = Tone.WARN if waiting else Tone.QUIET
    return Markup('<div class="sb-people sb-{}"><b>{}</b><span class="sb-detail">{}</span></div>').format(
        tone, summary, about
    )


def tile_and_numbers(tile: Tile | None, items: Iterable[tuple[str, str, str]]) -> Markup:
    """A success criterion with its verdict, and plain numbers beside it. The texts of the numbers are ours."""
    first = [_tile_cell(tile)] if tile else []
    return _tiles([*first, *((label, value, words, None) for label, value, words in items)])


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


# The first frame.


def last_known(last: LastHeadline | None, *, now: datetime) -> Markup:
    """The headline that was last known, grey and with its age, while the desk looks; or that none is known yet.

    It stands where the headline will, and is none: nothing that is old is green, amber or red.
    """
    how_old = NOTHING
    sentence: Content
    if last is None:
        state, sentence = "LOOKING NOW", "Nothing is known yet: the systems are being read for the first time."
    else:
        state, sentence = f"LAST KNOWN: {last.state.word}", outside(last.sentence)
        if last.answer:
            sentence = text("{} {}", QUESTION, outside(last.answer))
            how_old = detail(last.sentence)
        how_old += Markup("<p>{} about {}. <b>Looking now.</b></p>").format(
            Markup('<span data-sb-at="{}">{}</span> old,').format(
                round(last.at.timestamp()), formatting.duration(now - last.at)
            ),
            last.size.message,
        )
    return Markup(
        '<div class="sb-last-known sb-unknown" role="status" data-sb-now="{now}">'
        '<span class="sb-known-state">{state}</span><p class="sb-known">{sentence}</p>{how_old}</div>'
    ).format(now=f"{now.timestamp():.1f}", state=state, sentence=sentence, how_old=how_old)
