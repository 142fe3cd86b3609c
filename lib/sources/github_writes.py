"""What the desk may change on GitHub: put one empty commit on a branch. Only guarded actions call this.

GraphQL's `createCommitOnBranch` is preferred: it refuses by itself if the branch has moved, and GitHub signs the
commit (https://docs.github.com/graphql/reference/mutations#createcommitonbranch). Where there is no GraphQL, the
Git database of the REST API does it in two steps, and the second one is atomic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib.model.reading import FailureKind, SourceError
from lib.redaction import redact
from lib.sources import parse
from lib.sources.github import HINTS as READ_HINTS
from lib.sources.github import SYSTEM, GitHub
from lib.sources.http import MAX_REASON_LENGTH, Deadline, HttpError, Json, OutcomeUnknownError, understood

HINTS: Mapping[FailureKind, str] = {
    **READ_HINTS,
    FailureKind.FORBIDDEN: "Give the token Contents: write on this repository; the branch's rules may forbid it too.",
    FailureKind.NOT_FOUND: "The token may not see this repository, or lacks Contents: write.",
    FailureKind.BAD_DATA: "Look at the branch and its rules, and ask for a new preview.",
}

_CREATE_COMMIT = """
mutation ($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}
"""
# What GitHub's GraphQL calls its refusals. Anything else may have been cut short half way.
_REFUSALS: Mapping[str, FailureKind] = {
    "FORBIDDEN": FailureKind.FORBIDDEN,
    "INSUFFICIENT_SCOPES": FailureKind.FORBIDDEN,
    "NOT_FOUND": FailureKind.NOT_FOUND,
    "RATE_LIMITED": FailureKind.RATE_LIMITED,
    "RATE_LIMIT": FailureKind.RATE_LIMITED,
    "UNPROCESSABLE": FailureKind.BAD_DATA,
    "BAD_USER_INPUT": FailureKind.BAD_DATA,
}
_NO_GRAPHQL = (404, 405, 410)


class BranchMovedError(SourceError):
    """The branch is no longer at the commit that was seen; nothing was committed."""

    def __init__(self, branch: str, expected_head: str) -> None:
        super().__init__(
            FailureKind.BAD_DATA,
            f"{branch} is no longer at {expected_head[:7]}: somebody pushed since. Nothing was committed.",
            "Look at the new head, and ask for a new preview.",
        )


@dataclass(frozen=True, slots=True)
class GitHubWrites:
    """The writes to one repository."""

    github: GitHub

    def empty_commit(self, branch: str, expected_head: str, message: str, deadline: Deadline) -> str:
        """Put a commit without changes on `branch`, which must be at `expected_head`; return the new commit's id.

        `expected_head` is a full id. Raises `BranchMovedError` if the branch is elsewhere, and
        `OutcomeUnknownError` if it may have happened.
        """
        try:
            return self._through_graphql(branch, expected_head, message, deadline)
        except HttpError as error:
            if error.status not in _NO_GRAPHQL:
                raise
        return self._through_rest(branch, expected_head, message, deadline)

    def _through_graphql(self, branch: str, expected_head: str, message: str, deadline: Deadline) -> str:
        headline, _, body = message.partition("\n")
        given = {
            "branch": {"repositoryNameWithOwner": self.github.repository_name, "branchName": branch},
            "expectedHeadOid": expected_head,
            "message": {"headline": headline, **({"body": body.strip()} if body.strip() else {})},
        }
        answer = self.github.http.send_json(
            "POST",
            _graphql_url(self.github.base_url),
            {"query": _CREATE_COMMIT, "variables": {"input": given}},
            system=SYSTEM,
            deadline=deadline,
            headers=self.github.headers,
            hints=HINTS,
        )
        content = understood(SYSTEM, lambda: parse.mapping(answer.json(SYSTEM), SYSTEM))
        sha = parse.text(content, "data", "createCommitOnBranch", "commit", "oid")
        if sha is None:
            raise _refused(branch, expected_head, parse.items(content, "errors"))
        return sha

    def _through_rest(self, branch: str, expected_head: str, message: str, deadline: Deadline) -> str:
        github = self.github
        if github.head_of(branch, deadline) != expected_head:
            raise BranchMovedError(branch, expected_head)
        tree = github.tree_of(expected_head, deadline)
        try:
            made = self._send(
                "POST", deadline, "git", "commits", body={"message": message, "tree": tree, "parents": [expected_head]}
            )
            sha = parse.need(parse.text(made, "sha"), SYSTEM, "the new commit's id")
        except OutcomeUnknownError as error:
            # A commit that no branch points to changes nothing for anybody.
            sentence = f"{branch} was not touched: GitHub did not say whether it made the commit."
            raise SourceError(error.kind, sentence, "Try again.") from None
        try:
            # Not forced: if somebody pushed in between, this is no fast forward and is refused.
            self._send("PATCH", deadline, "git", "refs", "heads", *branch.split("/"), body={"sha": sha, "force": False})
        except HttpError as error:
            if error.status == 422 and "fast forward" in (error.reason or ""):
                raise BranchMovedError(branch, expected_head) from None
            raise
        return sha

    def _send(self, method: str, deadline: Deadline, *segments: str, body: Json) -> Json:
        answer = self.github.http.send_json(
            method,
            self.github.address(*segments),
            body,
            system=SYSTEM,
            deadline=deadline,
            headers=self.github.headers,
            hints=HINTS,
        )
        return understood(SYSTEM, lambda: parse.mapping(answer.json(SYSTEM), SYSTEM))


def _graphql_url(base_url: str) -> str:
    """Return where GraphQL answers: beside the REST API, and on GitHub Enterprise at /api/graphql, not /api/v3."""
    return base_url.rstrip("/").removesuffix("/v3") + "/graphql"


def _refused(branch: str, expected_head: str, errors: list[dict[str, Json]]) -> SourceError:
    """Return the error for an answer without a commit: refused, or cut short."""
    kinds = [kind for error in errors if (kind := parse.text(error, "type"))]
    if "STALE_DATA" in kinds:
        return BranchMovedError(branch, expected_head)
    message = "; ".join(text for error in errors if (text := parse.text(error, "message")))
    # A mutation that does not fit the schema is never begun: then there is a code instead of a type.
    misfit = any(parse.text(error, "extensions", "code") for error in errors)
    kind = next((_REFUSALS[kind] for kind in kinds if kind in _REFUSALS), FailureKind.BAD_DATA if misfit else None)
    if kind is None:
        return OutcomeUnknownError(
            FailureKind.UNAVAILABLE,
            "GitHub answered without a commit and without a clear refusal. Whether it made one is not known.",
            "Look at the branch before you do anything again.",
        )
    return SourceError(
        kind, f"GitHub refused the commit: {redact(message[:MAX_REASON_LENGTH]).rstrip('. ')}.", HINTS.get(kind, "")
    )
