"""The code of a commit, from GitHub's archive of it: one call for each commit, ever, for what it holds never changes.

`GET /repos/{owner}/{repo}/tarball/{sha}` answers 302 with a signed address on another host, which is asked without our
token. Facts: https://docs.github.com/rest/repos/contents#download-a-repository-archive-tar. The archive is unpacked in
memory while it streams in, and nothing of it is executed.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from pydantic import SecretStr

from lib.model.reading import Failure, FailureKind, SourceError
from lib.model.served_code import ServedCode
from lib.served_code import archive, reader
from lib.served_code.code_store import Store
from lib.sources.http import Deadline, Http, HttpError, HttpResponse, is_loopback, join, origin

# Beside the journal of a desk without a database of its own.
CODE_FOLDER = Path(__file__).resolve().parents[2] / ".switchboard" / "code"

_SYSTEM = "GitHub"
_ARCHIVE = "GitHub's archive of the commit"
_HINTS: Mapping[FailureKind, str] = {
    FailureKind.UNAUTHORIZED: "The token is wrong or has expired: make a new fine-grained one and set GITHUB_TOKEN.",
    FailureKind.FORBIDDEN: "Give the token the right to read this repository's Contents.",
    FailureKind.NOT_FOUND: "Check GITHUB_REPOSITORY, and that the token may read its Contents; a commit that was "
    "removed by a forced push cannot be read.",
    FailureKind.BAD_DATA: "Check GITHUB_API_URL: a proxy or another system may be answering.",
    FailureKind.UNAVAILABLE: "Look at GitHub's status page; Switchboard retries automatically.",
}
_TOO_MUCH = "Nothing to set: code that is too large or broken is not read, and the declared contract serves instead."
# A renamed repository answers 301 or 307 to its id, and that may point on once more.
_RENAMED = (301, 307, 308)
_FOUND = 302
_MAX_REDIRECTS = 2
_SHA = re.compile(r"[0-9a-f]{40}")
# The serving commits of a few hostnames, and the head.
_IN_MEMORY = 6


@dataclass(frozen=True, kw_only=True)
class GitHubArchive:
    """The code of one repository's commits. What was read is kept in memory and in `store`."""

    http: Http
    base_url: str
    repository_name: str  # owner/name
    token: SecretStr
    store: Store
    limits: archive.Limits = field(default_factory=archive.Limits)
    _read: dict[str, ServedCode] = field(default_factory=dict, repr=False, compare=False)
    _broken: dict[str, Failure] = field(default_factory=dict, repr=False, compare=False)
    _progress: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def code(self, sha: str, deadline: Deadline) -> ServedCode:
        """Return what was read of commit `sha`. Asks GitHub only for one that was never read. Raises `SourceError`."""
        if not _SHA.fullmatch(sha):
            raise SourceError(FailureKind.BAD_DATA, "The id of the serving commit is not one of Git's.")
        with self._lock:
            known, broken = self._read.get(sha), self._broken.get(sha)
        if known is not None:
            return known
        if broken is not None:
            raise SourceError(broken.kind, broken.sentence, broken.hint)
        try:
            code = self.store.get(sha) or self._fetched(sha, deadline)
        finally:
            self._progress.pop(sha, None)
        with self._lock:
            self._read[sha] = code
            while len(self._read) > _IN_MEMORY:
                self._read.pop(next(iter(self._read)))
        return code

    @property
    def progress(self) -> str:
        """How far the reading of code has come, as a sentence; empty while none is read."""
        return " ".join(self._progress.copy().values())

    def _fetched(self, sha: str, deadline: Deadline) -> ServedCode:
        self._progress[sha] = f"The archive of {sha[:7]} is being downloaded."
        address = self._address(sha, deadline)
        try:
            with self.http.stream(address, system=_ARCHIVE, deadline=deadline, hints=_HINTS) as chunks:
                files = archive.read(chunks, self.limits)
        except archive.ArchiveError as error:
            # It would be so again, and cost as much each time.
            self._broken[sha] = Failure(FailureKind.BAD_DATA, str(error), _TOO_MUCH)
            raise SourceError(FailureKind.BAD_DATA, str(error), _TOO_MUCH) from None
        code = reader.read(
            files, sha, on_progress=lambda done, of: self._count(sha, done, of), is_over=lambda: deadline.left() <= 0
        )
        deadline.remaining()  # what was cut short is no reading of the commit
        try:
            self.store.put(code)
        except OSError:  # it is read again after the next start
            logging.getLogger(__name__).warning("What was read of the code cannot be kept in %s.", self.store.folder)
        return code

    def _count(self, sha: str, done: int, of: int) -> None:
        self._progress[sha] = f"{done:,} of {of:,} files of {sha[:7]} are read."

    def _address(self, sha: str, deadline: Deadline) -> str:
        """Return where the archive lies. Our token goes to GitHub's API alone."""
        url = join(self.base_url, "repos", *self.repository_name.split("/"), "tarball", sha)
        headers = {"Authorization": f"Bearer {self.token.get_secret_value()}"}
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self.http.get(url, system=_SYSTEM, deadline=deadline, headers=headers, hints=_HINTS)
            target = self._target(url, answer)
            if answer.status == _FOUND:
                if target is None or not _is_safe(target, self.base_url):
                    break
                return target
            if answer.status not in _RENAMED:
                raise self._refused(answer)
            if target is None or origin(target) != origin(self.base_url):
                break
            url = target
        raise SourceError(
            FailureKind.BAD_DATA, f"{_SYSTEM} points to no archive of the commit.", _HINTS[FailureKind.BAD_DATA]
        )

    @staticmethod
    def _target(url: str, answer: HttpResponse) -> str | None:
        try:
            target = urljoin(url, answer.headers.get("Location", ""))
            return target if origin(target)[1] else None
        except ValueError:
            return None

    @staticmethod
    def _refused(answer: HttpResponse) -> HttpError:
        kinds = {
            401: (FailureKind.UNAUTHORIZED, "does not accept our token"),
            403: (FailureKind.FORBIDDEN, "does not let us read the code"),
            404: (FailureKind.NOT_FOUND, "has no such commit, or does not let us see it"),
            410: (FailureKind.NOT_FOUND, "has this commit no more"),
            422: (FailureKind.NOT_FOUND, "has no such commit"),
        }
        otherwise = FailureKind.UNAVAILABLE if answer.status >= 500 else FailureKind.BAD_DATA
        kind, words = kinds.get(answer.status, (otherwise, "does not give the archive of the commit"))
        sentence = f"{_SYSTEM} {words} (it answered {answer.status})."
        return HttpError(kind, sentence, _HINTS.get(kind, ""), status=answer.status)


def _is_safe(target: str, base_url: str) -> bool:
    """Whether the archive may be asked for there: over https, or on this machine where GitHub itself is here."""
    scheme, host, _ = origin(target)
    here = is_loopback(urlsplit(base_url).hostname or "")
    return scheme == "https" or (scheme == "http" and here and is_loopback(host))
