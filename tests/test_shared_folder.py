"""Tests of large data skip where the folder is absent, and fail on CI."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from shared_data import shared_folder, skip_without_shared_data


def item(marked=True):
    return SimpleNamespace(get_closest_marker=lambda name: (marked and name == "shared") or None)


def test_the_folder_is_beside_the_checkout_unless_named(monkeypatch):
    monkeypatch.delenv("MINIRES_SHARED", raising=False)
    assert shared_folder() == Path(__file__).resolve().parents[2] / "shared"
    monkeypatch.setenv("MINIRES_SHARED", "/elsewhere")
    assert shared_folder() == Path("/elsewhere")


def test_an_absent_folder_skips_with_its_name_and_fails_on_ci(monkeypatch, tmp_path):
    absent = tmp_path / "absent"
    monkeypatch.setenv("MINIRES_SHARED", str(absent))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=re.escape(f"{absent}: set")):
        skip_without_shared_data(item())
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no data folder"):
        skip_without_shared_data(item())
    skip_without_shared_data(item(marked=False))
    absent.mkdir()
    skip_without_shared_data(item())
