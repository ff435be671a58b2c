"""Where the corpus of real files lies: CDT_CORPUS, else shared/corpus beside the checkout, else None."""

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus"
_NAMED = os.environ.get("CDT_CORPUS")
CORPUS: Path | None = Path(_NAMED) if _NAMED else _BESIDE if _BESIDE.is_dir() else None
