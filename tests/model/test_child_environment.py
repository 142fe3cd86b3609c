"""What a process that we start inherits: what it needs to run, and no key."""

from __future__ import annotations

from lib.model.child_environment import child_environment
from lib.settings import Settings


def test_a_child_is_given_what_it_needs_to_run() -> None:
    given = {"PATH": "/bin", "LANG": "C.UTF-8", "LC_ALL": "C", "TMPDIR": "/tmp", "PYTHONPATH": "/x"}
    assert child_environment(given, HOME="/h") == {**given, "HOME": "/h"}


def test_a_child_is_given_no_setting_and_nothing_that_nobody_thought_of() -> None:
    settings = {name.upper(): "planted" for name in Settings.model_fields}
    others = dict.fromkeys(("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "NODE_OPTIONS"), "planted")
    files = {f"{name}_FILE": "/run/secrets/planted" for name in settings}
    assert child_environment({**settings, **others, **files}) == {}
