"""Which pushes vercel.json's switches and the deployment policy let through."""

from __future__ import annotations

from typing import Any

import pytest

from lib.model.deploy_rules import PolicyRule, branch_deploys, matches, policy_lets_in


@pytest.mark.parametrize(
    ("pattern", "branch", "found"),
    [
        ("main", "main", True),
        ("main", "Main", False),
        ("*", "main", True),
        ("*", "feature/x", False),  # a star does not cross a slash
        ("**", "feature/x", True),
        ("feature/*", "feature/x", True),
        ("feature/*", "feature/x/y", False),
        ("feature/**", "feature/x/y", True),
        ("feature/**", "feature", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("release-?", "release-1", True),
        ("release-?", "release-12", False),
        ("internal-*", "internal-", True),
        ("{main,staging}", "staging", True),
        ("{main,release/{a,b}}", "release/b", True),
        ("v[0-9]", "v3", True),
        ("v[!0-9]", "v3", False),
        ("!main", "main", False),
        ("!main", "dev", True),
        ("!!main", "main", True),
        ("a.b", "axb", False),
        # What is not worked out is not guessed.
        ("!(main)", "dev", None),
        ("@(main|dev)", "dev", None),
        ("+(a)", "aa", None),
        ("x{1..3}", "x2", None),
        ("a{b", "ab", None),
        ("[[:alpha:]]", "a", None),
        ("ma\\*n", "main", None),
        ("#main", "main", None),
        ("", "main", None),
        ("[z-a]", "b", None),
        (",".join(["{a,b}"] * 12), "a", None),
    ],
)
def test_a_pattern_matches_as_minimatch_does_or_it_is_not_told(pattern: str, branch: str, found: bool | None) -> None:
    assert matches(pattern, branch) is found


@pytest.mark.parametrize(
    ("rules", "branch", "deploys"),
    [
        (None, "main", True),
        (True, "main", True),
        (False, "main", False),
        ({}, "main", True),
        ({"*": False, "main": True}, "main", True),
        ({"main": True, "*": False}, "main", True),  # whichever stands first
        ({"*": False, "main": True}, "dev", False),
        ({"*": False}, "feature/x", True),
        ({"dev": False}, "main", True),
        ({"!main": False}, "main", True),
        ({"!main": False}, "dev", False),
        ({"{main,dev}": False}, "main", False),
        ({"!(main)": False}, "main", None),
        ({"!(main)": False, "main": True}, "main", True),
        ({"*": False, "@(main)": True}, "main", None),
        ({"main": "yes"}, "main", None),
        ({"main": None, "*": True}, "main", True),
        ("main", "main", None),
        ([False], "main", None),
    ],
)
def test_a_branch_deploys_if_one_matching_rule_is_true(rules: Any, branch: str, deploys: bool | None) -> None:
    assert branch_deploys(rules, branch) is deploys


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], (True, False)),
        ([PolicyRule(True, True, True)], (True, False)),
        ([PolicyRule(True, False, True)], (False, False)),  # on, and it lists other sources or none
        ([PolicyRule(False, False, True)], (True, False)),  # off: no rule
        ([PolicyRule(True, False, False)], (True, False)),  # about another environment
        ([PolicyRule(True, False, None)], (None, True)),
        ([PolicyRule(None, False, True)], (None, True)),
        ([PolicyRule(True, None, True)], (None, True)),
        ([PolicyRule(True, None, True), PolicyRule(True, False, True)], (False, False)),
        ([PolicyRule(True, True, True), PolicyRule(True, None, True)], (None, True)),
    ],
)
def test_a_policy_refuses_by_a_rule_that_is_on_for_production_and_lets_others_in(
    rules: list[PolicyRule], told: tuple[bool | None, bool]
) -> None:
    assert policy_lets_in(rules) == told
