"""A contained decoder answers as one in this process does, and its end is an error, never ours."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from customer_data_treatment.adapters import contained_wire as wire
from customer_data_treatment.adapters.contained import ContainedDecoder, open_contained
from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError, FacilityError, InternalFault
from customer_data_treatment.formats import FORMATS
from customer_data_treatment.plugin import load
from tests.fakes import decoders

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fakes_in_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def opened(tmp_path: Path, word: str, patience: float = 60) -> ContainedDecoder:
    path = tmp_path / "wilful"
    path.write_text(word)
    return open_contained(decoders.FACTS, LocalSource(path), patience=patience)


def test_answers_as_in_process(tmp_path: Path) -> None:
    decoder = opened(tmp_path, "behave")
    plain = decoders.WilfulDecoder(LocalSource(tmp_path / "wilful"))
    assert decoder.dataset.fields[1:] == plain.dataset.fields[1:]
    assert decoder.dataset.findings == plain.dataset.findings
    for name, box in (
        ("numbers", np.s_[3:290, 10:1999]),
        ("numbers", np.s_[0:0, 0:3]),
        ("words", np.s_[0:2, 0:2]),
        ("scalar", ()),
        ("none", np.s_[0:0, 0:3]),
    ):
        ours, theirs = decoder.read(name, box), plain.read(name, box)
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.flags.c_contiguous
        assert ours.tolist() == theirs.tolist()
    first, second = decoder.batches("table"), decoder.batches("table")  # two at once
    assert next(first).equals(decoders.TABLE)
    assert len(list(second)) == 4 and len(list(first)) == 3
    half = decoder.batches("table")
    next(half)
    half.close()
    assert b"".join(decoder.carried("papers")) == b"p" * (1 << 20) + b"q"
    assert decoder.rules() == plain.rules()
    assert decoder.peak_rss_bytes >= decoder.baseline_rss_bytes > 10 << 20
    decoder.close()
    decoder.close()
    assert decoder.peak_rss_bytes > 10 << 20


def use(decoder: ContainedDecoder) -> None:
    decoder.read("numbers", np.s_[0:1, 0:1])
    list(decoder.batches("table"))
    list(decoder.carried("papers"))


@pytest.mark.parametrize("when", ["open", "read"])
@pytest.mark.parametrize(
    ("word", "kind", "code", "says"),
    [
        ("abort", CustomerError, "corrupt", "SIGABRT"),
        ("segfault", CustomerError, "corrupt", "SIGSEGV"),
        ("kill", FacilityError, "child-died", "SIGKILL"),
        ("exit", FacilityError, "child-died", "exit status 3"),
        ("memory", CustomerError, "corrupt", "memory"),
        ("refuse", CustomerError, "truncated", "it is short"),
        ("bug", InternalFault, "internal", "ZeroDivisionError"),
    ],
)
def test_every_end_is_one_error(
    tmp_path: Path, when: str, word: str, kind: type[CdtError], code: str, says: str
) -> None:
    with pytest.raises(CdtError) as caught:
        decoder = opened(tmp_path, f"{word} {when}")
        try:
            use(decoder)
        finally:
            decoder.close()
    assert type(caught.value) is kind and caught.value.code == code and says in caught.value.message
    assert caught.value.where
    if word == "abort":
        assert "std::runtime_error" in "".join(caught.value.__notes__)


def test_a_hang_ends(tmp_path: Path) -> None:
    decoder = opened(tmp_path, "hang read", patience=4)
    began = time.monotonic()
    with pytest.raises(CustomerError, match="no progress"):
        use(decoder)
    assert time.monotonic() - began < 20
    with pytest.raises(InternalFault):
        use(decoder)


def test_printing_neither_blocks_nor_mixes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    decoder = opened(tmp_path, "print read")
    assert decoder.read("numbers", np.s_[0:1, 0:2]).tolist() == [[0.0, 1.0]]
    decoder.close()
    out, err = capfd.readouterr()
    assert out == "" and err == ""


def test_a_killed_parent_takes_its_child_along(tmp_path: Path) -> None:
    (tmp_path / "wilful").write_text("hang read")
    script = (
        "import sys, os; from pathlib import Path\n"
        "from tests.unit.test_contained import opened, use\n"
        f"d = opened(Path({str(tmp_path)!r}), 'hang read')\n"
        "print(d._child._process.pid, flush=True)\nuse(d)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        stat = Path(f"/proc/{child}/stat")
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child outlived its parent")


def test_a_real_format_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(24, dtype=">f4").reshape(2, 3, 4))
    source, facts = LocalSource(path), FORMATS["NPY"]
    plain, child = load(FORMATS, "NPY").open(source), open_contained(facts, source)
    try:
        assert child.dataset == plain.dataset
        box = np.s_[0:2, 1:3, 0:4]
        assert np.array_equal(child.read("array", box), plain.read("array", box))
        assert list(child.carried("header.npy")) == list(plain.carried("header.npy"))
    finally:
        plain.close()
        child.close()


def test_only_facts_are_unpickled() -> None:
    schema = pa.schema(
        [
            ("a", pa.list_(pa.float32())),
            ("b", pa.dictionary(pa.int8(), pa.string())),
            ("c", pa.timestamp("ns", "UTC")),
        ]
    )
    schema = schema.append(pa.field("d", pa.struct([("x", pa.decimal128(5, 2))]), metadata={"k": "v"}))
    schema = schema.append(pa.field("e", pa.list_(pa.binary(), 3)))
    assert wire.facts_from_bytes(wire.facts_to_bytes(schema)) == schema
    for evil in (os.system, eval, subprocess.Popen, np.load):
        with pytest.raises(pickle.UnpicklingError):
            wire.facts_from_bytes(pickle.dumps(evil))
