"""Settings: what is wrong is one sentence with the fix, the rest works, and no value is ever repeated."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lib.model.reading import SourceName
from lib.model.served_code import BOOKING_ADDRESSES
from lib.settings import SECRETS_FILE, SettingProblem, Settings, duration, load, unclear_who_acts
from tests.model.test_keys import jwt

NOWHERE = Path("/nonexistent/secrets.toml")
DSN = "postgresql://postgres.abcdefghijklmnopqrst:planted@aws-0-eu-west-2.pooler.supabase.com:5432/postgres"
NAMES = [name.upper() for name in Settings.model_fields if name != "problems"]


def given_in_environment(**environ: str) -> Settings:
    return load(environ, NOWHERE)


def given_in_file(folder: Path, text: str) -> Settings:
    file = folder / "secrets.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return load({}, file)


def only_problem(settings: Settings) -> SettingProblem:
    (problem,) = settings.problems
    return problem


def test_nothing_set_is_no_problem():
    settings = given_in_environment()
    assert settings.problems == ()
    assert not settings.anything_configured
    assert settings.zone.key == "Europe/London"


WRONG = {
    "SUPABASE_URL": {
        "abcdefghijklmnopqrst.supabase.co": "https://",
        DSN: "DATABASE_URL",
        "sb_secret_planted": "SUPABASE_SECRET_KEY",
        "https://[planted": "https://",
        "https://planted:99999999": "https://",
        "https://user:planted@x.supabase.co": "before the @",
        "https://x.supabase.co/?apikey=planted": "after the ?|follows the ?",
        "https://supabase.com/dashboard/project/abcdefghijklmnopqrst": "supabase.co",
    },
    "SUPABASE_SECRET_KEY": {DSN: "DATABASE_URL", "sbp_planted": "SUPABASE_ACCESS_TOKEN"},
    "DATABASE_URL": {
        "https://x.supabase.co": "postgresql://",
        "sb_secret_planted": "postgresql://",
        "postgresql://postgres.x:[YOUR-PASSWORD]@h:5432/postgres": "[YOUR-PASSWORD]",
    },
    "SUPABASE_ACCESS_TOKEN": {
        "sb_secret_planted": "sbp_",
        "sb_publishable_planted": "sbp_",
        DSN: "sbp_",
        jwt(role="service_role"): "sbp_",
        jwt(role="anon"): "sbp_",
    },
    "SUPABASE_PROJECT_REF": {"https://planted.supabase.co": "20 letters", "../planted": "20 letters"},
    "GITHUB_REPOSITORY": {"planted": "owner/name", "https://github.com/a/b/tree/main": "owner/name"},
    "GITHUB_API_URL": {"planted": "https://"},
    "REQUIRED_COMMIT": {"planted": "hexadecimal", "abc123": "hexadecimal"},
    "TWILIO_ACCOUNT_SID": {"SKplanted": "AC and 32", "AC1234": "AC and 32"},
    "BOOKING_APP_URL": {"localhost:3000": "https://", "ftp://planted": "https://"},
    "TEST_EVENT_ID": {"planted": "uuid"},
    "TEST_MOBILE_NUMBER": {"planted": "+447", "12": "+447"},
    "TIME_ZONE": {"Europe/Planted": "Europe/London", "/etc/passwd": "Europe/London"},
    "REQUIRE_SECOND_PERSON": {"planted": "true or false"},
}


@pytest.mark.parametrize(
    ("name", "value", "fix"), [(name, value, fix) for name, cases in WRONG.items() for value, fix in cases.items()]
)
def test_a_wrong_value_is_one_sentence_with_the_fix_and_the_rest_works(name: str, value: str, fix: str):
    settings = given_in_environment(**{name: value, "VERCEL_TOKEN": "vcp_x", "VERCEL_PROJECT_ID": "prj_x"})
    problem = only_problem(settings)
    assert problem.name == name
    assert problem.sentence.startswith(f"{name} ") and problem.sentence.endswith(".")
    assert any(message in problem.sentence for message in fix.split("|"))
    assert value not in problem.sentence and "planted" not in problem.sentence.lower()
    # Where nobody knows whether a second person is asked for, one is.
    safe = {"REQUIRE_SECOND_PERSON": True}
    assert getattr(settings, name.lower()) == safe.get(name, Settings.model_fields[name.lower()].default)
    assert settings.configured(SourceName.VERCEL)


RIGHT = {
    "SUPABASE_URL": ("https://abcdefghijklmnopqrst.supabase.co/rest/v1/", "https://abcdefghijklmnopqrst.supabase.co"),
    "GITHUB_REPOSITORY": ("https://github.com/lantern-arms/booking.git", "lantern-arms/booking"),
    "GITHUB_API_URL": ("https://github.example/api/v3/", "https://github.example/api/v3"),
    "REQUIRED_COMMIT": ("3AEE739", "3aee739"),
    "TEST_EVENT_ID": ("{00000000-0000-4000-8000-00000000E001}", "00000000-0000-4000-8000-00000000e001"),
    "OPERATORS": ("ada@example.com, bob@example.com", ("ada@example.com", "bob@example.com")),
    "REQUIRE_SECOND_PERSON": ("true", True),
    "SERVED_CODE_ADDRESSES": (
        "POST  /api/book,/b/[token],\n/api/book/[...rest], /b/[token]",
        ("POST /api/book", "/b/[token]", "/api/book/[...rest]"),
    ),
    "TIME_ZONE": ("Europe/Dublin", "Europe/Dublin"),
    "BOOKING_APP_URL": ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_value_is_brought_into_its_one_form(name: str):
    given_text, expected = RIGHT[name]
    settings = given_in_environment(**{name: f" {given_text}\n"})
    assert settings.problems == ()
    assert getattr(settings, name.lower()) == expected


def test_the_project_is_taken_from_the_address_unless_it_is_named():
    url = "https://abcdefghijklmnopqrst.supabase.co"
    assert given_in_environment(SUPABASE_URL=url).supabase_project_ref == "abcdefghijklmnopqrst"
    named = given_in_environment(SUPABASE_URL=url, SUPABASE_PROJECT_REF="tsrqponmlkjihgfedcba")
    assert named.supabase_project_ref == "tsrqponmlkjihgfedcba"


def test_a_number_is_kept_in_one_form_and_secret():
    number = given_in_environment(TEST_MOBILE_NUMBER="07700 900999").test_mobile_number
    assert number and number.get_secret_value() == "+447700900999"
    assert "900" not in repr(number)


def test_several_wrong_values_are_one_sentence_each():
    settings = given_in_environment(TIME_ZONE="x", REQUIRED_COMMIT="y", GITHUB_REPOSITORY="z")
    assert [problem.name for problem in settings.problems] == ["GITHUB_REPOSITORY", "REQUIRED_COMMIT", "TIME_ZONE"]


# Where values come from ------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "secrets.toml"
    file.write_text('VERCEL_PROJECT_ID = "file"\nVERCEL_TEAM_ID = "file"\n')
    file.chmod(0o600)
    settings = load({"VERCEL_PROJECT_ID": "environment", "VERCEL_TEAM_ID": ""}, file)
    assert (settings.vercel_project_id, settings.vercel_team_id) == ("environment", "file")


def test_a_file_may_hold_lists_and_truth(tmp_path: Path):
    settings = given_in_file(
        tmp_path, 'OPERATORS = ["a", "b"]\nREQUIRE_SECOND_PERSON = true\nNOTIFY_URLS = ["json://h", " slack://t "]\n'
    )
    assert settings.problems == ()
    assert (settings.operators, settings.require_second_person, len(settings.notify_urls)) == (("a", "b"), True, 2)


@pytest.mark.parametrize(
    "line",
    [
        "VERCEL_TOKEN = 5",
        "VERCEL_PROJECT_ID = 5",
        "SUPABASE_URL = 5",
        "OPERATORS = 5",
        "OPERATORS = [1, 2]",
        "NOTIFY_URLS = 5",
        "NOTIFY_URLS = [{ url = 'planted' }]",
        "REQUIRE_SECOND_PERSON = 7",
        "TIME_ZONE = []",
        "[SUPABASE_SECRET_KEY]\nx = 'planted'",
        "TEST_MOBILE_NUMBER = 447700900999",
        "DATABASE_URL = 1.5",
        "SUPABASE_PROJECT_REF = true",
        "REQUIRED_COMMIT = 1234567",
    ],
)
def test_a_value_of_the_wrong_type_is_one_sentence(tmp_path: Path, line: str):
    problem = only_problem(given_in_file(tmp_path, f"GITHUB_TOKEN = 'x'\n{line}"))
    assert problem.sentence.endswith(".") and "planted" not in problem.sentence and "900999" not in problem.sentence
    assert "quotes" in problem.sentence or "list of texts" in problem.sentence or "true or false" in problem.sentence


def test_spaces_around_a_value_in_the_file_do_not_matter(tmp_path: Path):
    settings = given_in_file(tmp_path, '\ufeffSUPABASE_SECRET_KEY = " sb_secret_x\\n"\nVERCEL_TOKEN = " "')
    assert settings.supabase_secret_key and settings.supabase_secret_key.get_secret_value() == "sb_secret_x"
    assert settings.vercel_token is None and settings.problems == ()


@pytest.mark.parametrize("text", ["SUPABASE_SECRET_KEY = sb_secret_planted", 'A = "planted', "x = [" * 9000])
def test_a_file_that_cannot_be_read_is_one_problem_that_quotes_nothing(tmp_path: Path, text: str):
    problem = only_problem(given_in_file(tmp_path, text))
    assert problem.name == "secrets.toml"
    assert "secrets.example.toml" in problem.sentence and "planted" not in problem.sentence


@pytest.mark.parametrize(
    "text", ["REQUIRE_SECOND_PERSON = '2 people'", "REQUIRE_SECOND_PERSON = [true]", "A = planted"]
)
def test_a_second_person_is_asked_for_where_the_file_does_not_say_it_clearly(tmp_path: Path, text: str):
    settings = given_in_file(tmp_path, text)
    assert settings.require_second_person is True and only_problem(settings)


def test_a_second_person_is_asked_for_where_the_file_of_the_setting_cannot_be_read(tmp_path: Path):
    settings = given_in_environment(REQUIRE_SECOND_PERSON_FILE=str(tmp_path / "absent"))
    assert settings.require_second_person is True


def test_a_mistake_elsewhere_asks_for_no_second_person():
    assert given_in_environment(TIME_ZONE="planted", OPERATORS="ana").require_second_person is False


def test_a_folder_in_place_of_the_secrets_is_a_file_that_cannot_be_read(tmp_path: Path):
    """It is what a container makes of a file that is not there."""
    settings = load({}, tmp_path)
    assert only_problem(settings).name == tmp_path.name and settings.require_second_person is True
    assert load({}, tmp_path / "absent" / "secrets.toml").problems == ()


def test_a_file_in_another_encoding_is_one_problem(tmp_path: Path):
    file = tmp_path / "secrets.toml"
    file.write_bytes('VERCEL_TOKEN = "plantéd"'.encode("latin-1"))
    assert only_problem(load({}, file)).name == "secrets.toml"


def test_a_secret_can_come_from_a_file_of_its_own(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("vcp_planted\n")
    settings = given_in_environment(VERCEL_TOKEN_FILE=str(file), VERCEL_TOKEN="other")
    assert settings.vercel_token and settings.vercel_token.get_secret_value() == "vcp_planted"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe\xfa"])
def test_a_file_that_is_absent_empty_or_no_text_is_a_problem(tmp_path: Path, content: bytes | None):
    file = tmp_path / "planted"
    if content is not None:
        file.write_bytes(content)
    settings = given_in_environment(TIME_ZONE_FILE=str(file), VERCEL_TEAM_ID="x")
    problem = only_problem(settings)
    assert problem.sentence.startswith("TIME_ZONE_FILE ") and "planted" not in problem.sentence
    assert (settings.time_zone, settings.vercel_team_id) == ("Europe/London", "x")


def test_a_folder_in_place_of_a_file_is_a_problem(tmp_path: Path):
    assert only_problem(given_in_environment(VERCEL_TOKEN_FILE=str(tmp_path))).name == "VERCEL_TOKEN"


# Slips that would take a guard away ------------------------------------------------------------------------

SLIPS = {
    'OPERATOR = "ana"': ("OPERATORS", "write OPERATORS"),
    'OPERATOR_EMAILS = "ana"': ("OPERATORS", "write OPERATORS"),
    'operators = "ana"': ("OPERATORS", "capitals"),
    'Operators = "ana"': ("OPERATORS", "capitals"),
    '[auth]\nclient_id = "x"\nOPERATORS = "ana"': ("OPERATORS", "above the first line in brackets"),
    '[auth]\nclient_id = "x"\noperatrs = "ana"': ("OPERATORS", "above the first line in brackets"),
    '[auth.google]\noperators = "ana"': ("OPERATORS", "above the first line in brackets"),
    "REQUIRE_SECOND_PERSONS = true": ("REQUIRE_SECOND_PERSON", "write REQUIRE_SECOND_PERSON"),
    "SECOND_PERSON = true": ("REQUIRE_SECOND_PERSON", "write REQUIRE_SECOND_PERSON"),
    "[auth]\nREQUIRE_SECOND_PERSON = true": ("REQUIRE_SECOND_PERSON", "above the first line"),
    "[Auth]": ("auth", "write [auth]"),
    "[atuh]": ("auth", "write [auth]"),
    'VIEWER = "owner"': ("VIEWERS", "write VIEWERS"),
    'STATUS_TOKN = "planted"': ("STATUS_TOKEN", "write STATUS_TOKEN"),
    'STATUS_TOKEN_FILE = "planted"': ("STATUS_TOKEN", "environment only"),
    'COLOUR = "planted"': ("COLOUR", "secrets.example.toml"),
    'sb_secret_planted0123 = "x"': ("A name that is not shown here", "secrets.example.toml"),
}


@pytest.mark.parametrize("text", SLIPS)
def test_a_line_that_has_no_effect_is_one_sentence_with_the_fix(tmp_path: Path, text: str):
    name, fix = SLIPS[text]
    problem = only_problem(given_in_file(tmp_path, text))
    assert problem.name == name and fix in problem.sentence
    assert "planted" not in problem.sentence and "ana" not in problem.sentence


@pytest.mark.parametrize("text", [text for text, (name, _) in SLIPS.items() if name == "REQUIRE_SECOND_PERSON"])
def test_a_slip_in_the_name_of_the_second_person_asks_for_one(tmp_path: Path, text: str):
    assert given_in_file(tmp_path, text).require_second_person is True


@pytest.mark.parametrize("text", [text for text, (name, _) in SLIPS.items() if name in ("OPERATORS", "auth")])
def test_a_slip_in_the_names_of_the_operators_or_the_login_makes_nobody_an_operator(tmp_path: Path, text: str):
    assert unclear_who_acts(given_in_file(tmp_path, text))
    assert not unclear_who_acts(given_in_file(tmp_path, 'OPERATORS = "ana"\nCOLOUR = "x"'))


def test_what_streamlit_reads_from_the_file_is_no_slip(tmp_path: Path):
    text = """
OPERATORS = "ana"
[auth]
redirect_uri = "https://desk.example.com/oauth2callback"
cookie_secret = "x"
client_kwargs = { prompt = "login" }
expose_tokens = ["id"]
[auth.google]
client_id = "x"
client_secret = "x"
server_metadata_url = "https://example.com"
[connections.bookings]
url = "x"
"""
    assert given_in_file(tmp_path, text).problems == ()


def test_the_example_file_with_everything_filled_in_has_no_slip(tmp_path: Path):
    example = (SECRETS_FILE.parent / "secrets.example.toml").read_text(encoding="utf-8")
    filled = "\n".join(re.sub(r"^# (?=[A-Z_]+ = |\[auth\]|[a-z_]+ = )", "", line) for line in example.splitlines())
    settings = given_in_file(tmp_path, filled)
    assert settings.operators and not [p.sentence for p in settings.problems if "no setting" in p.sentence]
    assert not unclear_who_acts(settings)


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o644, True), (0o604, True), (0o602, True), (0o600, False), (0o640, False)]
)
def test_a_file_that_every_user_can_read_is_used_with_a_warning_that_names_the_command(
    tmp_path: Path, mode: int, warned: bool
):
    file = tmp_path / "secrets.toml"
    file.write_text('OPERATORS = "ana"')
    file.chmod(mode)
    settings = load({}, file)
    assert settings.operators == ("ana",) and not unclear_who_acts(settings)
    assert [f"chmod 600 {file}" in problem.sentence for problem in settings.problems] == [True] * warned


# Numbers ---------------------------------------------------------------------------------------------------

OUT_OF_RANGE = {
    "MAIN_AHEAD_MINUTES": ("from 1 to 43200", ["99999999999999999999", "0", "-1", "43201", "9" * 5000, "1.5", "x"]),
    "MONITOR_EVERY": (
        "from 1s to 1d, or off",
        ["999999d", "-60", "-1m", "0", "0.001", "0.5s", "5ms", "25h", "1e9", "٣m", "x"],
    ),
    "SYNTHETIC_EVERY": ("from 10m to 30d, or off", ["9m", "31d", "999999d", "-1h"]),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, values) in OUT_OF_RANGE.items() for value in values]
)
def test_a_number_out_of_range_is_one_sentence_with_the_range(name: str, value: str):
    settings = given_in_environment(**{name: value})
    assert OUT_OF_RANGE[name][0] in only_problem(settings).sentence
    assert getattr(settings, name.lower()) == Settings.model_fields[name.lower()].default


@pytest.mark.parametrize("value", ["-5", "inf", "nan", "1e300", "true", "[]", "2026-01-01", "0.001"])
def test_a_pace_out_of_range_in_the_file_is_refused_as_well(tmp_path: Path, value: str):
    settings = given_in_file(tmp_path, f"MONITOR_EVERY = {value}")
    assert "from 1s to 1d, or off" in only_problem(settings).sentence
    assert settings.monitor_every == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("value", "length"),
    [("off", None), ("1s", timedelta(seconds=1)), ("90", timedelta(seconds=90)), ("1d", timedelta(days=1))],
)
def test_a_pace_within_the_range_is_taken(value: str, length: timedelta | None):
    settings = given_in_environment(MONITOR_EVERY=value)
    assert (settings.monitor_every, settings.problems) == (length, ())


@pytest.mark.parametrize("text", ["999999d", "367d", "0s", "-1h"])
def test_a_length_of_time_that_is_out_of_range_is_refused(text: str):
    with pytest.raises(ValueError, match=r"must be a length of time"):
        duration(text)


# Which source is configured --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "source", "missing"),
    [
        ({}, SourceName.BOOKING_DATA, ("SUPABASE_URL", "SUPABASE_SECRET_KEY")),
        ({"SUPABASE_URL": "https://x.example"}, SourceName.BOOKING_DATA, ("SUPABASE_SECRET_KEY",)),
        ({}, SourceName.CATALOG, ("DATABASE_URL",)),
        ({"DATABASE_URL": DSN}, SourceName.CATALOG, ()),
        ({"SUPABASE_ACCESS_TOKEN": "sbp_x"}, SourceName.CATALOG, ("SUPABASE_PROJECT_REF",)),
        ({"SUPABASE_URL": "https://x.example", "SUPABASE_SECRET_KEY": "sb_secret_x"}, SourceName.CATALOG, ()),
        ({}, SourceName.TWILIO, ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")),
        ({"TWILIO_ACCOUNT_SID": "AC" + "0" * 32}, SourceName.TWILIO, ("TWILIO_AUTH_TOKEN",)),
        ({"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_API_KEY": "SKx"}, SourceName.TWILIO, ("TWILIO_API_SECRET",)),
        ({"VERCEL_TOKEN": "x"}, SourceName.VERCEL, ("VERCEL_PROJECT_ID",)),
        ({}, SourceName.GITHUB, ("GITHUB_TOKEN", "GITHUB_REPOSITORY")),
        ({"BOOKING_APP_URL": "https://x.example"}, SourceName.BOOKING_APP, ()),
    ],
)
def test_what_a_source_still_needs_is_named(environ: dict[str, str], source: SourceName, missing: tuple[str, ...]):
    settings = given_in_environment(**environ)
    assert settings.missing(source) == missing
    assert settings.configured(source) is (not missing)


# Secrets -------------------------------------------------------------------------------------------------

SECRET = "plantedSecret4242"
SHAPES = st.sampled_from(
    [
        "{}",
        "sb_secret_{}",
        "sb_publishable_{}",
        "sbp_{}",
        "postgresql://u:{}@h/d",
        "https://{}.example/x",
        "https://u:{}@h",
        "https://h/?key={}",
        "https://[{}]/",
        "http://h:{}/",
        "AC{}",
        "a/{}",
        "{},{}",
        '["{}"]',
        jwt(role="anon", ref="{}").replace("{", "{{").replace("}", "}}"),
    ]
)


@examples(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), SHAPES, min_size=1))
def test_a_secret_in_any_box_is_in_no_repr_and_in_no_sentence(shapes: dict[str, str]):
    settings = load({name: shape.replace("{}", SECRET) for name, shape in shapes.items()}, NOWHERE)
    shown = [repr(settings), str(settings), f"{settings!r:.5000}", *map(repr, settings.problems)]
    assert not [message for message in shown if SECRET.lower() in message.lower()]


TOML_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["C"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@examples(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), TOML_VALUES, min_size=1))
@example({"SUPABASE_SECRET_KEY": [], "SUPABASE_PROJECT_REF": [], "SUPABASE_URL": "0"})
def test_no_secrets_file_makes_loading_fail(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]):
    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    settings = given_in_file(tmp_path_factory.mktemp("settings"), text)
    assert all(problem.sentence.endswith(".") for problem in settings.problems)
    assert len({problem.name for problem in settings.problems}) == len(settings.problems)


@examples(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40), min_size=1))
def test_no_environment_makes_loading_fail(environ: dict[str, str]):
    assert isinstance(load(environ, NOWHERE), Settings)


@pytest.mark.parametrize(
    "given_text",
    [
        ",",
        "api/book",
        "https://example.com/api/book",
        "FETCH /api/book",
        "/api/book /b",
        "/api/<b>",
        f"/{'a' * 200}",
        ",".join(f"/api/{number}" for number in range(21)),
        "/api/bøøk",
    ],
)
def test_an_address_of_the_flow_that_cannot_be_one_is_refused_and_todays_stay(given_text: str):
    settings = given_in_environment(SERVED_CODE_ADDRESSES=given_text)
    (problem,) = settings.problems
    assert "1 to 20 addresses of the booking app" in problem.sentence
    assert settings.served_code_addresses == BOOKING_ADDRESSES


def test_a_list_of_addresses_without_any_is_refused(tmp_path: Path):
    settings = given_in_file(tmp_path, "SERVED_CODE_ADDRESSES = []")
    assert len(settings.problems) == 1 and settings.served_code_addresses == BOOKING_ADDRESSES
    settings = given_in_file(tmp_path, 'SERVED_CODE_ADDRESSES = ["POST /api/book"]')
    assert settings.problems == () and settings.served_code_addresses == ("POST /api/book",)
