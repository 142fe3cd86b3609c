"""Previews are a convenience: what keeps them from being written keeps nobody from acting."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from lib.actions.executor import Executor
from lib.actions.preview_store import MOST, PreviewStore
from tests.actions.conftest import FakeAction


def test_a_preview_is_found_by_the_next_process(executor: Executor, tmp_path: Path) -> None:
    executor.previews = PreviewStore(tmp_path / "previews")
    preview = executor.preview(FakeAction.id, {})
    assert PreviewStore(tmp_path / "previews").find(preview.digest) == preview.target


def test_where_nothing_can_be_written_the_preview_is_shown_all_the_same(
    executor: Executor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    executor.previews = PreviewStore(tmp_path / "taken" / "previews")
    with caplog.at_level(logging.WARNING):
        preview = executor.preview(FakeAction.id, {})
    assert executor.previews.find(preview.digest) == preview.target, "this process knows it"
    assert PreviewStore(tmp_path / "taken" / "previews").find(preview.digest) is None
    assert "could not be kept" in caplog.text


def test_old_previews_go_even_if_another_process_takes_one_away_meanwhile(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "previews"
    folder.mkdir()
    for number in range(MOST + 5):
        (folder / f"{number}.json").write_text("{}")
        os.utime(folder / f"{number}.json", (number, number))
    listed = Path.glob

    def taken_away(self: Path, pattern: str) -> list[Path]:
        found = list(listed(self, pattern))
        (folder / "0.json").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "glob", taken_away)
    executor.previews = PreviewStore(folder)
    preview = executor.preview(FakeAction.id, {})
    monkeypatch.undo()
    left = {path.stem for path in folder.glob("*.json")}
    assert len(left) == MOST and preview.digest in left and "1" not in left
