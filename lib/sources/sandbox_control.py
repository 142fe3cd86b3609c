"""The control of a running sandbox: which scenario it plays, and how fast bookings come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lib import settings as settings_
from lib.model.reading import FailureKind, SourceError
from lib.settings import Settings
from lib.sources.http import Deadline, Http, Json, join

_SYSTEM = "The sandbox"
_READ_SECONDS = 3.0
# Switching sets the whole world up anew.
_SWITCH_SECONDS = 60.0


class _Answer(BaseModel):
    """An answer of the sandbox. It is our own, so a wrong value means that something else answered."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class StandIn(_Answer):
    """What somebody does at `where` to fix a scenario, and the sandbox can do in their stead."""

    where: str
    message: str = Field(validation_alias="words")
    done: bool


def _titles(scenarios: Any) -> Any:
    try:
        return {scenario["name"]: scenario["title"] for scenario in scenarios}
    except (KeyError, TypeError) as error:
        raise ValueError from error


class SandboxState(_Answer):
    """What the sandbox plays. `settings` point the desk at it; some scenarios hand out other keys.

    `titles` are those of all scenarios, by name. `manual_fix` is None where nobody outside of the desk has anything
    to fix.
    """

    scenario: str
    title: str
    story: str
    bookings_per_minute: float = Field(validation_alias="pace")
    titles: Annotated[dict[str, str], BeforeValidator(_titles)] = Field(validation_alias="scenarios")
    settings: dict[str, str] = Field(repr=False)
    manual_fix: StandIn | None = None

    def settings_over(self, environ: Mapping[str, str]) -> Settings:
        """Return the settings of `environ`, pointed at the sandbox as it plays."""
        return settings_.load({**environ, **self.settings})

    def replaces(self, before: SandboxState | None, in_use: Settings, environ: Mapping[str, str]) -> bool:
        """Return whether who reads the sandbox has to start over: it plays another scenario, or hands out other keys.

        `before` is the last state that was seen, None at the start; then the settings `in_use` alone decide.
        """
        another = before is not None and before.scenario != self.scenario
        return another or self.settings_over(environ) != in_use


@dataclass(frozen=True)
class SandboxControl:
    """Reads and switches the sandbox at `url`. Raises `SourceError`."""

    url: str
    http: Http

    def state(self) -> SandboxState:
        """Return what the sandbox plays now."""
        return _state(self.http.get_json(f"{self.url}/", system=_SYSTEM, deadline=Deadline(_READ_SECONDS)))

    def play(self, scenario: str) -> SandboxState:
        """Put the sandbox into `scenario`, as if nothing had happened before."""
        return self._post("scenario", {"name": scenario}, _SWITCH_SECONDS)

    def set_pace(self, bookings_per_minute: float) -> SandboxState:
        """Let bookings come in at this pace."""
        return self._post("pace", {"bookings_per_minute": bookings_per_minute}, _READ_SECONDS)

    def manual_fix(self) -> SandboxState:
        """Do what somebody would do in another system."""
        return self._post("manual-fix", {}, _READ_SECONDS)

    def _post(self, what: str, body: Json, seconds: float) -> SandboxState:
        answer = self.http.send_json("POST", join(self.url, what), body, system=_SYSTEM, deadline=Deadline(seconds))
        return _state(answer.json(_SYSTEM))


def _state(answer: Json) -> SandboxState:
    try:
        return SandboxState.model_validate(answer)
    except ValidationError:
        raise SourceError(
            FailureKind.BAD_DATA,
            "The sandbox's control endpoint gave an unexpected answer.",
            "Check SANDBOX_URL: another program may have taken its port.",
        ) from None
