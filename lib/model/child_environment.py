"""The environment of the processes that we start: they need no key of ours, so they are given none."""

from __future__ import annotations

from collections.abc import Mapping

# What a program needs to be found, to find its libraries and folders, and to speak the right language.
_ALLOWED = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
    }
)
# Of the language, and of how Python and the libraries for numbers run.
_ALLOWED_PREFIXES = ("LC_", "OMP_", "OPENBLAS_", "PYTHON")


def child_environment(environ: Mapping[str, str], **more: str) -> dict[str, str]:
    """Return what of `environ` a child may have, and `more`. It is a list of names: whatever is new is left out."""
    allowed = {name: value for name, value in environ.items() if name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)}
    return {**allowed, **more}
