"""Where large test data are, and what becomes of a test that needs them."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


def shared_folder() -> Path:
    """The folder with data that is too large for the repository."""
    return Path(os.environ.get("MINIRES_SHARED") or CHECKOUT.parent / "shared")


def skip_without_shared_data(item):
    """Skip a test marked `shared` where that folder is absent; on CI that is a failure."""
    if item.get_closest_marker("shared") is None or shared_folder().is_dir():
        return
    message = f"no data folder {shared_folder()}: set MINIRES_SHARED to where it is"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
