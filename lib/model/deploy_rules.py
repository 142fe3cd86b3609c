"""Which pushes the rules of a project let through: the branch switches of vercel.json, and the deployment policy.

Facts: https://vercel.com/docs/project-configuration/git-configuration (patterns are minimatch's, and a branch deploys
if at least one matching rule is true), https://github.com/isaacs/minimatch, and Vercel's API description of
`deploymentPolicy` (a rule that is on is an allowlist; one that is off is no rule).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# What minimatch understands beyond these is not worked out here: extended globs, escapes, ranges, POSIX classes.
_NOT_WORKED_OUT = re.compile(r"[?*+@!]\(|\\|\.\.|\[\[|^#")
_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")
# So many alternatives of braces are worked out.
_MAX_ALTERNATIVES = 64


def branch_deploys(rules: object, branch: str) -> bool | None:
    """Whether `git.deploymentEnabled` lets a push to `branch` deploy; None where that cannot be told.

    `rules` is the value as it stands in vercel.json: nothing, one switch for all, or a switch for each pattern.
    """
    if rules is None or isinstance(rules, bool):
        return rules is not False
    if not isinstance(rules, Mapping):
        return None
    answers = [(matches(str(pattern), branch), enabled) for pattern, enabled in rules.items()]
    if any(found and enabled is True for found, enabled in answers):
        return True
    if any(found is not False and enabled is not False for found, enabled in answers):
        return None  # it may be one that lets the branch through
    if any(found for found, _ in answers):
        return False
    return None if any(found is None for found, _ in answers) else True


def matches(pattern: str, branch: str) -> bool | None:
    """Whether a minimatch `pattern` matches the name of a branch; None for patterns that are not worked out.

    A star does not cross a slash; `**` as a whole segment does.
    """
    if not pattern or _NOT_WORKED_OUT.search(pattern):
        return None
    positive = pattern.lstrip("!")
    alternatives = _expanded(positive)
    if alternatives is None:
        return None
    answers = [_matches(one.split("/"), branch.split("/")) for one in alternatives]
    found = True if True in answers else None if None in answers else False
    is_negated = (len(pattern) - len(positive)) % 2 == 1
    return found if found is None or not is_negated else not found


def _expanded(pattern: str) -> list[str] | None:
    """Return what braces stand for, innermost first; None for braces without alternatives, or very many."""
    done, todo = [], [pattern]
    while todo:
        one = todo.pop()
        braces = _ALTERNATIVES.search(one)
        if braces is None:
            if "{" in one or "}" in one:
                return None
            done.append(one)
        elif "," not in braces[1]:
            return None
        else:
            todo += [one[: braces.start()] + choice + one[braces.end() :] for choice in braces[1].split(",")]
        if len(done) + len(todo) > _MAX_ALTERNATIVES:
            return None
    return done


def _matches(pattern: list[str], name: list[str]) -> bool | None:
    if not pattern:
        return not name
    if pattern[0] != "**":
        if not name:
            return False
        first = _segment(pattern[0])
        if first is None:
            return None
        return _matches(pattern[1:], name[1:]) if first.fullmatch(name[0]) else False
    if len(pattern) == 1:
        return bool(name)
    answers = [_matches(pattern[1:], name[skipped:]) for skipped in range(len(name) + 1)]
    return True if True in answers else None if None in answers else False


def _segment(pattern: str) -> re.Pattern[str] | None:
    """Return the expression for one segment; stars beside other characters are one star."""
    parts = re.split(r"(\*+|\?|\[[^\]]*\])", pattern)
    try:
        return re.compile("".join(_part(part) for part in parts))
    except re.error:
        return None


def _part(part: str) -> str:
    if part.startswith("*"):
        return ".*"
    if part == "?":
        return "."
    if part.startswith("[") and part.endswith("]"):
        return f"[^{part[2:-1]}]" if part[1:2] in ("!", "^") else part
    return re.escape(part)


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of a project's deployment policy, as far as it can be read. `enabled` None: it does not say.

    `lets_in`: whether it names what is asked about (the way "git", or our repository); None where that is unclear.
    `for_production`: whether it is about production; None where that is unclear.
    """

    enabled: bool | None
    lets_in: bool | None
    for_production: bool | None


def policy_lets_in(rules: Iterable[PolicyRule]) -> tuple[bool | None, bool]:
    """Whether the rules let our pushes build production, and whether that is unclear.

    (False, False): one refuses. (None, True): one may. (True, False): those that are on let them in, or none is on.
    """
    answers = [_lets_in(rule) for rule in rules]
    if False in answers:
        return False, False
    return (None, True) if None in answers else (True, False)


def _lets_in(rule: PolicyRule) -> bool | None:
    if rule.enabled is False or rule.for_production is False or rule.lets_in is True:
        return True
    certain = rule.enabled is True and rule.for_production is True and rule.lets_in is False
    return False if certain else None
