"""State of the tests lies in a folder of its own; the corpus is required where CI says so."""

import os
import tempfile
from pathlib import Path

import pytest

from .corpus_path import CORPUS

if "CDT_HOME" not in os.environ:
    # One folder a session, kernels shared by the workers: compiling them anew takes a minute.
    os.environ["CDT_HOME"] = str(Path(tempfile.gettempdir()) / f"cdt-tests-{os.getuid()}")
os.environ["CDT_CONFIG"] = ""
os.environ.setdefault("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def corpus() -> Path:
    """The corpus of real files; without it the test is skipped aloud, in CI it fails."""
    if CORPUS is None:
        if os.environ.get("CDT_CORPUS_REQUIRED"):
            pytest.fail("the corpus is required here and is not there (CDT_CORPUS)")
        pytest.skip("no corpus of real files: set CDT_CORPUS")
    return CORPUS
