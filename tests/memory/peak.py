"""Run one treatment in a fresh process and print its peak memory above the imports.

    python tests/memory/peak.py SOURCE PACKAGE [BOUND [WORKERS [MEMORY]]]

Imports and kernels are loaded by treating a small array first; then the high-water mark is reset
(/proc/self/clear_refs, Linux) and read again at the end.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from customer_data_treatment.local import parse_size, source_of, surroundings
from customer_data_treatment.model.bound import parse_bound
from customer_data_treatment.pipeline.memory import planned_peak
from customer_data_treatment.pipeline.options import TreatOptions
from customer_data_treatment.pipeline.submission import treat_any


def status(word: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(word):
            return int(line.split()[1]) * 1024
    raise RuntimeError(word)


def main() -> None:
    source, package = Path(sys.argv[1]), Path(sys.argv[2])
    bound = sys.argv[3] if len(sys.argv) > 3 else "lossless"
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    memory = parse_size(sys.argv[5]) if len(sys.argv) > 5 else 512 << 20
    options = TreatOptions(bounds=(parse_bound(bound),), workers=workers, memory=memory, overwrite=True)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.npy"
        np.save(small, np.random.default_rng(0).normal(size=(64, 1024)).astype("f4"))
        treat_any(source_of(str(small)), Path(folder) / "p", options, surroundings())
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    summary = treat_any(source_of(str(source)), package, options, surroundings())
    print(
        json.dumps(
            {
                "above_imports": status("VmHWM") - before,
                "imports": before,
                "planned": planned_peak(workers),
                "seconds": summary.seconds,
                "bytes_source": summary.bytes_source,
            }
        )
    )


if __name__ == "__main__":
    main()
