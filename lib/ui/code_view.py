"""Code and database: the lines of the served code that do not fit the live database, and the repository's migrations.

Code is no secret and is shown as text, also on a shared screen; literals that look like keys are taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pandas as pd
import streamlit as st
from markupsafe import Markup

from lib.diagnosis import misfit_details
from lib.diagnosis.code_findings import CommitFindings
from lib.diagnosis.misfit_details import MisfitDetail
from lib.formatting import counted
from lib.model.served_code import ErrorHandling, MigrationState, Misfit, Operation, Problem, RepositoryMigration
from lib.ui import html_components as html
from lib.ui import labels, tables
from lib.ui.action_dialog import action_button, may_act
from lib.ui.labels import Sign, Tone
from lib.ui.masking import plain
from lib.ui.page_frame import View, diagnosis_service, expander
from lib.ui.styles import draw

VIEW = "Code and database"
MIGRATE = "run_repository_migration"
_FALLBACK = (
    "Until it can be read, the diagnosis rests on what was declared of the app (Systems lists it). "
    "By that, no cause is more than likely."
)
MAX_CARDS = 12
MAX_UNREAD = 50

# What Postgres and PostgREST mean by the codes that a misfit can be answered with.
_ANSWERS: Mapping[str, str] = {
    "PGRST202": "no such function",
    "PGRST204": "no such column",
    "PGRST205": "no such table",
    "42P01": "no such table",
    "42703": "no such column",
    "42883": "no such function",
    "23502": "null is refused",
    "23514": "a check refuses the value",
    "42P10": "no unique index for onConflict",
    "428C9": "only the database may fill this column",
    "22P02": "the type cannot hold the value",
    "22003": "the number is out of range",
    "22007": "no date or time",
    "22008": "the date or time is out of range",
    "22001": "the text is too long",
    "42804": "the type is another one",
}
_PROBLEMS: Mapping[Problem, str] = {
    Problem.MISSING_TABLE: "The database has no table {place}",
    Problem.MISSING_COLUMN: "The database has no column {place}",
    Problem.MISSING_FUNCTION: "The database has no function {place} as it is called",
    Problem.REFUSED_LITERAL: "The database refuses {literal} in {place}",
    Problem.NULL_REFUSED: "The database refuses null in {place}",
    Problem.LEFT_OUT: "{place} is left out, and must have a value",
    Problem.NO_UNIQUE_INDEX: "No unique index fits the onConflict of {place}",
    Problem.TYPE: "The type of {place} does not take the value",
}
_OPERATIONS: Mapping[Operation, str] = {
    Operation.SELECT: "reads (select)",
    Operation.INSERT: "writes (insert)",
    Operation.UPDATE: "writes (update)",
    Operation.UPSERT: "writes (upsert)",
    Operation.DELETE: "deletes (delete)",
    Operation.RPC: "calls (rpc)",
}
_ERRORS: Mapping[ErrorHandling, Sign] = {
    ErrorHandling.IGNORED: Sign("error ignored", "✕", Tone.BAD),
    ErrorHandling.LOOKED_AT: Sign("error handled", "✓", Tone.QUIET),
    ErrorHandling.UNKNOWN: Sign("cannot tell whether the error is handled", "?", Tone.UNKNOWN),
}
_THEN: Mapping[ErrorHandling, str] = {
    ErrorHandling.IGNORED: "ignores the error and goes on as if it had worked",
    ErrorHandling.LOOKED_AT: "looks at the error: what it was doing may end there",
    ErrorHandling.UNKNOWN: "cannot tell: what becomes of the error could not be read",
}
_STATES: Mapping[MigrationState, str] = {
    MigrationState.NO_EFFECT: "✕ recorded, but its effect is not there",
    MigrationState.NOT_APPLIED: "! not applied",
    MigrationState.UNKNOWN: "? cannot tell",
    MigrationState.NOT_IN_REPOSITORY: "– applied, not in the repository",
    MigrationState.APPLIED: "✓ applied",
}


def draw_code_view(view: View) -> None:
    """Draw the whole view, as far as the code could be read."""
    found = view.facts.code
    draw(_summary(view))
    if not found.commits:
        draw(html.paragraph(_FALLBACK))
        return
    _draw_misfits(view, misfit_details.served(view.facts), "served")
    if later := misfit_details.coming(view.facts):
        st.subheader("In newer code that is not live yet", anchor=False)
        _draw_misfits(view, later, "coming")
    _draw_elsewhere(view, misfit_details.elsewhere(found))
    _draw_migrations(view)
    _draw_reading(view)


# What is known at all.


def _summary(view: View) -> Markup:
    found = view.facts.code
    if not found.commits:
        reading = view.snapshot.served_code
        return view.cannot_tell(reading) or html.card(
            "Which lines fit the database", html.paragraph(found.why_partial), sign=labels.CANNOT_TELL
        )
    rows = [_read_of(view, one) for one in found.commits]
    rows += [why for why in [found.why_partial] if why]
    return html.live_line("The served code against the live database:", verdict_sign(view), rows)


def verdict_sign(view: View) -> Sign:
    """Return in words whether the code on the way of a booking fits. What was not read is never called fitting."""
    found = view.facts.code
    if count := len(found.on_flow):
        lines = f"{counted(count, 'line')} on the way of a booking"
        if all(misfit.sometimes for misfit in found.on_flow):
            return Sign(f"{lines} {_do_not(count)} fit at times", "!", Tone.WARN)
        return Sign(f"{lines} {_do_not(count)} fit", "✕", Tone.BAD)
    if not found.complete:
        return labels.CANNOT_TELL
    if found.gaps:
        return Sign("what could be read fits", "?", Tone.UNKNOWN)
    return Sign("everything on the way of a booking fits", "✓", Tone.GOOD)


def _do_not(count: int) -> str:
    return "does not" if count == 1 else "do not"


def _read_of(view: View, one: CommitFindings) -> str:
    hosts = view.facts.value(view.snapshot.hostnames) or ()
    serving = [host.name for host in hosts if host.redirect_to is None and host.serving_commit == one.code.commit]
    where = f"live on {', '.join(serving)}" if serving else "not live"
    unread = f"{counted(len(one.code.all_unread), 'place')} not read" if one.code.all_unread else "all of it read"
    return (
        f"{(one.code.commit or '')[:7]}, {where}: {counted(len(one.code.files), 'file')}, "
        f"{counted(len(one.code.uses), 'use')} of the database, {counted(len(one.uses_on_flow), 'use')} on the way of "
        f"a booking, {unread}"
    )


# Misfits.


def _draw_misfits(view: View, details: Sequence[MisfitDetail], name: str) -> None:
    for number, detail in enumerate(details[:MAX_CARDS]):
        with st.container(border=True, key=f"misfit_{name}_{number}", gap="small"):
            draw(_misfit(view, detail))
            _draw_cure(view, detail, key=f"migrate_{name}_{number}")
    if len(details) > MAX_CARDS:
        st.caption(f"{len(details) - MAX_CARDS:,} more are in the answer of `python -m lib code`.")


def _misfit(view: View, detail: MisfitDetail) -> Markup:
    misfit = detail.misfit
    breaks = Sign(f"breaks: {labels.HOP[detail.hop]}", "✕", Tone.BAD) if detail.hop else None
    chips = [html.chip(sign) for sign in (breaks, _ERRORS[misfit.error]) if sign is not None]
    if misfit.sometimes:
        chips.append(html.chip(Sign("on some of the ways through the code", "~", Tone.WARN)))
    code = html.code_lines(detail.lines, misfit.line) if detail.lines else html.nothing("Its lines were not kept.")
    return html.misfit(title(misfit), html.join(chips, " "), code, html.facts(_facts(view, detail), short=True))


def title(misfit: Misfit) -> str:
    """Return what does not fit as a heading."""
    return _PROBLEMS[misfit.problem].format(place=place(misfit), literal=_literal(misfit))


def place(misfit: Misfit) -> str:
    """Return what of the database a misfit is about: a table, a column or a function."""
    if misfit.table is None:
        return f"{misfit.detail}()"
    return f"{misfit.table}.{misfit.column}" if misfit.column else misfit.table


def _literal(misfit: Misfit) -> str:
    return f"“{misfit.literal}”" if isinstance(misfit.literal, str) else str(misfit.literal).lower()


def _facts(view: View, detail: MisfitDetail) -> html.Rows:
    misfit = detail.misfit
    address = misfit_details.code_link(view.settings, misfit.commit, misfit.file, misfit.line)
    rows: html.Rows = [
        ("Where", html.link(f"{misfit.file}:{misfit.line}", address)),
        ("In", _inside(misfit)),
        ("Does", f"{_OPERATIONS[misfit.use.operation]} {place(misfit)}"),
        ("The database answers", answers(misfit)),
        ("The code then", _THEN[misfit.error]),
        # The address is one of the settings', and no secret: what looks like a hook's would be cut.
        ("On the way of", html.text("{}", misfit.hop) if misfit.hop else "no booking"),
        ("Live since", _live(view, detail)),
    ]
    if detail.migration is not None:
        rows.append(("Would be fixed by", _cure_words(detail)))
    return rows


def _inside(misfit: Misfit) -> str:
    function, found = misfit.use.function or misfit.use.declaration, misfit.use.route
    if found is not None and (not function or found.startswith(f"{function} ")):
        return found  # the function of a route is called like its method
    parts = [*([f"{function}()"] if function else []), *([found] if found else [])]
    return ", ".join(parts) or "code that runs when the file is imported"


def answers(misfit: Misfit) -> str:
    """Return the code that the database answers, the likeliest first, with its meaning."""
    first, *others = misfit.answers
    meaning = f" ({_ANSWERS[first]})" if first in _ANSWERS else ""
    return f"{first}{meaning}" + (f", or {' or '.join(others)}" if others else "")


def _live(view: View, detail: MisfitDetail) -> str:
    if not detail.live:
        return "It is not live."
    hosts: dict[tuple[datetime | None, str | None], list[str]] = {}
    for one in detail.live:
        hosts.setdefault((one.since, one.deployment), []).append(one.hostname)
    return "; ".join(
        f"{view.time_and_age(since) if since else 'a time that is not known'} on {' and '.join(names)}"
        + (f", by {deployment}" if deployment else "")
        for (since, deployment), names in hosts.items()
    )


def _cure_words(detail: MisfitDetail) -> str:
    migration = detail.migration
    if migration is None:
        return ""
    not_applied = migration.state is MigrationState.NOT_APPLIED
    state = "was not applied" if not_applied else "is on record as applied, and its effect is not there"
    newer = (
        "" if detail.migration_commit == detail.misfit.commit else f", in commit {(detail.migration_commit or '')[:7]}"
    )
    return f"the repository's migration {migration.version} {migration.name or ''}{newer}: it {state}"


def _draw_cure(view: View, detail: MisfitDetail, *, key: str) -> None:
    """Draw the button that runs the migration, where the desk has that action and whoever looks may use it."""
    if detail.migration is None or view.sharing or not may_act():
        return
    action_service = diagnosis_service().action_service()
    action = action_service.executor.actions.get(MIGRATE) if action_service else None
    known = {"version": detail.migration.version, "commit": detail.migration_commit or ""}
    if action is None or not set(action.asks) <= known.keys():
        return
    args = {name: known[name] for name in action.asks}
    action_button(MIGRATE, args, f"Run migration {detail.migration.version}", key=key, primary=True)


def _draw_elsewhere(view: View, misfits: Sequence[Misfit]) -> None:
    """Draw the misfits off the way of a booking behind their count: they change no verdict."""
    if not misfits:
        return
    label = (
        f"{counted(len(misfits), 'line')} elsewhere in the app {_do_not(len(misfits))} fit. No booking passes there."
    )
    with expander(plain(label), key="elsewhere", icon=":material/unfold_more:") as is_open:
        if is_open:
            frame = misfit_rows(misfits)
            tables.draw_table(view, frame, tables.MISFITS, key="elsewhere_table", alt="Lines off the way of a booking.")


def misfit_rows(misfits: Iterable[Misfit]) -> pd.DataFrame:
    """Return misfits as rows of a table."""
    return pd.DataFrame(
        [
            {
                "place": f"{one.file}:{one.line}",
                "asks": place(one),
                "answer": answers(one),
                "error": _ERRORS[one.error].word,
                "where": _inside(one),
                "detail": one.sentence,
            }
            for one in misfits
        ],
        columns=["place", "asks", "answer", "error", "where", "detail"],
    )


# Migrations.


def _draw_migrations(view: View) -> None:
    st.subheader("Migrations of the repository", anchor=False)
    if (unread := view.cannot_tell(view.snapshot.migrations)) is not None:
        draw(unread)
        st.caption("Without the record of applied migrations, states follow from what the database holds.")
    found = view.facts.code.migrations
    if not found:
        draw(html.nothing("The repository has no file in supabase/migrations, and none is on record as applied."))
        return
    open_ = [one for one in found if one.state is not MigrationState.APPLIED]
    applied = len(found) - len(open_)
    words = f"{counted(applied, 'is', 'are')} applied." if open_ else f"All {applied:,} are applied."
    st.caption(f"Of {counted(len(found), 'migration')} {words}" if open_ else words)
    frame = migration_rows(found, view.facts.code.misfits)
    frame = frame.drop(columns=[name for name in ("cures", "detail") if frame[name].isin(["", pd.NA]).all()])
    tables.draw_table(view, frame, tables.MIGRATIONS, key="migrations", alt="The repository's migrations.")


def migration_rows(migrations: Iterable[RepositoryMigration], misfits: Sequence[Misfit]) -> pd.DataFrame:
    """Return the migrations as rows of a table: those that need somebody first, then the newest."""
    order = list(_STATES)
    ordered = sorted(
        sorted(migrations, key=lambda one: one.version, reverse=True), key=lambda one: order.index(one.state)
    )
    cures = {
        one.version: {(m.file, m.line, m.column) for m in misfits if m.migration == one.version} for one in ordered
    }
    return pd.DataFrame(
        [
            {
                "state": _STATES[one.state],
                "version": one.version,
                "name": one.name,
                "cures": len(cures[one.version]) or None,
                "detail": _migration_words(one),
            }
            for one in ordered
        ],
        columns=["state", "version", "name", "cures", "detail"],
    ).astype({"cures": "Int64"})


def _migration_words(migration: RepositoryMigration) -> str:
    words = [f"Not in the database: {', '.join(migration.missing)}."] if migration.missing else []
    words += [f"Not understood: {', '.join(migration.unread)}."] if migration.unread else []
    return " ".join(words)


# How much was read.


def _draw_reading(view: View) -> None:
    unread = [one for commit in view.facts.code.commits for one in commit.code.all_unread]
    gaps = tuple(dict.fromkeys(view.facts.code.gaps))
    if not unread and not gaps:
        return
    label = f"{counted(len(unread), 'place')} could not be read. No verdict rests on them."
    with expander(plain(label), key="unread", icon=":material/visibility_off:") as is_open:
        if not is_open:
            return
        if gaps:
            st.markdown("**On the way of a booking**")
            draw(html.bullets(gaps))
        lines = dict.fromkeys(f"{one.file}{f':{one.line}' if one.line else ''}: {one.reason}" for one in unread)
        draw(html.bullets(list(lines)[:MAX_UNREAD]))
        if len(lines) > MAX_UNREAD:
            st.caption(f"The first {MAX_UNREAD} of {len(lines):,}.")
