"""The booking app's twin does what the served commit does, and loses what the real one loses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from lib.sandbox import twilio_twin as twilio_twin
from lib.sandbox.serve import Running
from tests.sandbox.twins import build_quickly, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

MOBILE = "07400 112233"
E164 = "+447400112233"


class App:
    """The booking app as its callers, its customers and Twilio meet it."""

    def __init__(self, sandbox: Running) -> None:
        self._world = sandbox.world
        self.url = f"{sandbox.world.base_url}/app"
        self._client = httpx.Client(trust_env=False, follow_redirects=True, timeout=30)

    def initiate(self, key: str | None = None, **body: Any) -> httpx.Response:
        keys = self._world.credentials
        headers = {"X-API-Key": keys.booking_api_key if key is None else key}
        whole = {"event_id": keys.test_event_id, "mobile_number": MOBILE} | body
        return self._client.post(f"{self.url}/api/bookings/initiate", json=whole, headers=headers)

    def confirm(self, token: str) -> httpx.Response:
        body = {"token": token, "first_name": "Alice", "last_name": "Hughes", "seats": 2}
        return self._client.post(f"{self.url}/api/bookings/confirm", json=body)

    def open(self, path_or_url: str) -> httpx.Response:
        return self._client.get(path_or_url if "://" in path_or_url else self.url + path_or_url)

    def receive_callback(self, sid: str, status: str, token: str | None = None) -> httpx.Response:
        url = f"{self.url}/api/webhooks/twilio"
        form = {"MessageSid": sid, "MessageStatus": status, "To": E164, "From": "+441632960100"}
        signed = twilio_twin.signature(token or self._world.credentials.twilio_auth_token, url, form)
        return self._client.post(url, data=form, headers={"X-Twilio-Signature": signed})

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self._world.connection() as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def newest_text(self) -> dict[str, Any]:
        return self.rows("select * from twin.texts order by created_at desc limit 1")[0]

    def newest_pending(self) -> dict[str, Any]:
        return self.rows("select * from public.pending_bookings order by created_at desc limit 1")[0]


@pytest.fixture
def app(sandbox: Running) -> App:
    return App(sandbox)


def test_the_fixed_code_answers_sends_and_stores_the_text_on_the_pending_booking(play, app: App) -> None:
    play("healthy")
    answer = app.initiate()
    body = answer.json()
    assert (answer.status_code, body["status"], body["sms_sent"], body["customer_exists"]) == (
        201,
        "pending",
        True,
        False,
    )
    assert body["event"]["available_seats"] > 0
    text, pending = app.newest_text(), app.newest_pending()
    assert str(pending["token"]) == body["booking_token"]
    assert pending["mobile_number"] == text["to_number"] == E164
    assert pending["metadata"]["initial_sms"]["message_sid"] == text["sid"]
    assert not app.rows("select from public.messages where message_sid = %s", text["sid"])
    assert app.rows("select from public.api_usage where status_code = 201 and created_at > now() - interval '10 s'")


def test_a_confirmation_makes_customer_booking_and_the_deferred_message(play, app: App) -> None:
    play("healthy")
    token = app.initiate().json()["booking_token"]
    assert app.confirm(token).status_code == 200
    message = app.rows("select * from public.messages where message_sid = %s", app.newest_text()["sid"])[0]
    assert (message["status"], message["twilio_status"]) == ("delivered", "delivered")  # by assumption
    pending = app.newest_pending()
    booking = app.rows("select * from public.bookings where id = %s", pending["booking_id"])[0]
    assert (booking["seats"], booking["customer_id"]) == (2, pending["customer_id"])
    assert app.confirm(token).status_code == 400  # once only


def test_the_old_code_sends_the_text_and_loses_its_record(play, app: App, sandbox: Running) -> None:
    play("code-not-deployed")
    assert app.initiate().json()["sms_sent"] is True
    assert app.newest_pending()["metadata"] is None
    assert not app.rows("select from public.messages where message_sid = %s", app.newest_text()["sid"])
    errors = app.rows(
        "select from platform.log where log_attributes->>'request.path' = '/rest/v1/messages'"
        " and log_attributes->>'response.status_code' = '400' and at > now() - interval '10 s'"
    )
    assert len(errors) == 1


def test_the_old_code_records_texts_to_customers_it_knows(play, app: App) -> None:
    play("code-not-deployed")
    app.rows(
        "insert into public.customers (first_name, last_name, mobile_number) values ('Al', 'Hall', %s) returning id",
        E164,
    )
    assert app.initiate().json()["customer_exists"] is True
    text = app.newest_text()
    assert app.rows("select from public.messages where message_sid = %s", text["sid"])
    assert "Hi Al," in text["body"]


@pytest.mark.parametrize("scenario", ["missing-column", "sent-not-recorded"])
def test_a_refused_update_is_swallowed_the_api_says_sent_and_nothing_is_stored(play, app: App, scenario: str) -> None:
    play(scenario)
    answer = app.initiate()
    assert (answer.status_code, answer.json()["sms_sent"]) == (201, True)
    assert not (app.newest_pending().get("metadata") or {})
    assert app.confirm(answer.json()["booking_token"]).status_code == 200
    assert not app.rows("select from public.messages where message_sid = %s", app.newest_text()["sid"])


def test_a_build_without_twilio_settings_answers_201_and_sends_nothing(play, app: App) -> None:
    play("twilio-unconfigured")
    before = app.newest_text()["sid"]
    answer = app.initiate()
    assert (answer.status_code, answer.json()["sms_sent"]) == (201, False)
    assert app.newest_text()["sid"] == before


def test_who_may_not_call_is_refused_and_no_usage_is_logged(play, app: App) -> None:
    play("healthy")
    before = app.rows("select count(*) as n from public.api_usage")[0]["n"]
    assert app.initiate(key="wrong").status_code == 401
    app.rows("update public.api_keys set permissions = '[\"read:events\"]' returning id")
    assert app.initiate().status_code == 403
    app.rows("update public.api_keys set permissions = '[\"write:bookings\"]', rate_limit = 0 returning id")
    assert app.initiate().status_code == 429
    assert app.rows("select count(*) as n from public.api_usage")[0]["n"] == before


@pytest.mark.parametrize(
    ("change", "body", "status", "code"),
    [
        ("select 1", {"mobile_number": "12"}, 400, "VALIDATION_ERROR"),
        ("select 1", {"event_id": "not-a-uuid"}, 400, "VALIDATION_ERROR"),
        ("select 1", {"event_id": "00000000-0000-4000-8000-00000000ffff"}, 404, "NOT_FOUND"),
        ("update public.events set event_status = 'cancelled' returning 1", {}, 400, "EVENT_NOT_AVAILABLE"),
        ("update public.events set capacity = 0 returning 1", {}, 400, "EVENT_FULL"),
        (
            "insert into public.customers (first_name, last_name, mobile_number, sms_opt_in)"
            " values ('A', 'B', '07400112233', false) returning 1",
            {},
            400,
            "SMS_OPT_OUT",
        ),
    ],
)
def test_each_refusal_has_its_code_and_is_logged(play, app: App, change, body, status, code) -> None:
    play("healthy")
    app.rows(change)
    answer = app.initiate(**body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert app.rows("select status_code from public.api_usage order by created_at desc limit 1")[0] == {
        "status_code": status
    }


def test_a_link_that_cannot_be_made_ends_in_500_with_a_pending_booking_left_behind(play, app: App) -> None:
    play("api-500")
    before = app.newest_text()["sid"]
    answer = app.initiate()
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "DATABASE_ERROR")
    assert app.newest_pending()["mobile_number"] == E164
    assert app.newest_text()["sid"] == before


def test_the_link_in_the_text_counts_the_click_and_opens_for_a_stranger(play, app: App) -> None:
    play("healthy")
    token = app.initiate().json()["booking_token"]
    link = app.newest_text()["body"].rsplit(" ", 1)[-1]
    page = app.open(link)
    assert (page.status_code, page.url.path) == (200, f"/app/booking-confirmation/{token}")
    assert "x-vercel-id" in page.headers
    code = link.rsplit("/", 1)[-1]
    clicks = "select click_count from public.short_links where short_code = %s"
    assert app.rows(clicks, code)[0]["click_count"] == 1
    assert app.open("/l/nothing").status_code == 404


def test_the_link_lands_on_a_login_once_that_commit_is_live(play, app: App) -> None:
    play("link-to-login")
    page = app.open(app.initiate().json()["confirmation_url"])
    assert page.url.path == "/app/auth/login"


def test_a_receipt_moves_a_recorded_text_and_is_kept_for_a_deferred_one(play, app: App) -> None:
    play("healthy")
    token = app.initiate().json()["booking_token"]
    sid = app.newest_text()["sid"]
    outcomes = "select status from public.webhook_logs where message_sid = %s order by processed_at"
    assert app.receive_callback(sid, "sent").status_code == 200
    assert [row["status"] for row in app.rows(outcomes, sid)] == ["received", "success"]
    app.confirm(token)
    app.receive_callback(sid, "undelivered")
    message = app.rows("select * from public.messages where message_sid = %s", sid)[0]
    assert (message["twilio_status"], message["failed_at"]) == ("undelivered", None)
    assert app.rows("select from public.message_delivery_status where message_id = %s", message["id"])


def test_a_receipt_for_a_lost_text_ends_as_an_error_in_the_webhook_log(play, app: App) -> None:
    play("missing-column")
    app.initiate()
    sid = app.newest_text()["sid"]
    app.receive_callback(sid, "delivered")
    logged = app.rows("select status from public.webhook_logs where message_sid = %s order by processed_at", sid)
    assert [row["status"] for row in logged] == ["received", "error"]


def test_a_receipt_with_a_wrong_signature_is_refused(play, app: App) -> None:
    play("healthy")
    app.initiate()
    sid = app.newest_text()["sid"]
    assert app.receive_callback(sid, "delivered", token="of somebody else").status_code == 401
    logged = app.rows("select status from public.webhook_logs where message_sid = %s order by processed_at", sid)
    assert [row["status"] for row in logged] == ["received", "signature_failed"]


def test_deploying_the_fix_makes_the_next_booking_store_its_text(play, app: App, sandbox: Running, vercel) -> None:
    play("code-not-deployed")
    build_quickly(sandbox)
    newest = vercel.get("/v7/deployments", params={"limit": 1}).json()["deployments"][0]
    body = {"deploymentId": newest["uid"], "name": "booking", "target": "production"}
    vercel.post("/v13/deployments", json=body)
    wait_until(lambda: serving(sandbox, vercel)["sha"] == newest["meta"]["githubCommitSha"])
    app.initiate()
    assert app.newest_pending()["metadata"]["initial_sms"]["message_sid"] == app.newest_text()["sid"]
