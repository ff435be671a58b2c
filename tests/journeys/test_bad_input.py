"""Bad input, bad places, bad moments: one line, the right exit status, nothing left, the source untouched."""

import ctypes
import gzip
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.journeys.command import (
    answer,
    cdt,
    command,
    digest_of,
    environment,
    failed,
    field,
    inside,
    left_behind,
    table,
)  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "field.npy"
    np.save(path, field())
    return path


def truncated_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(table(5000).encode(), mtime=0)[:-200])


def header_of(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty.csv": (lambda p: p.write_bytes(b""), "empty"),
    "empty": (lambda p: p.mkdir(), "empty"),
    "hidden": (lambda p: (p.mkdir(), (p / ".x").write_bytes(b"1")), "empty"),
    "missing.csv": (lambda p: None, "not-found"),
    "dangling.csv": (lambda p: p.symlink_to("nowhere"), "not-found"),
    "loop.csv": (lambda p: p.symlink_to(p.name), "unreadable"),
    "pipe.csv": (os.mkfifo, "not-a-dataset"),
    "socket.csv": (lambda p: bind(p), "not-a-dataset"),
    "null.csv": (lambda p: p.symlink_to("/dev/null"), "not-a-dataset"),
    "zero.csv": (lambda p: p.symlink_to("/dev/zero"), "not-a-dataset"),
    "linked": (lambda p: (p.mkdir(), (p / "up").symlink_to("..")), "not-a-dataset"),
    "piped": (lambda p: (p.mkdir(), os.mkfifo(p / "x")), "not-a-dataset"),
    "allbad": (lambda p: (p.mkdir(), (p / "a.npy").write_bytes(b"?!"), (p / "b").write_bytes(b"?")), "unsupported-format"),
    "noise.npy": (lambda p: p.write_bytes(bytes(range(256)) * 9), "unsupported-format"),
    "cut.csv.gz": (truncated_gzip, "truncated"),
    "huge.npy": (lambda p: p.write_bytes(header_of("(10000000000, 10000000000)") + b"\0" * 64), "absurd-header"),
    "negative.npy": (lambda p: p.write_bytes(header_of("(-5, 3)") + b"\0" * 64), "absurd-header"),
    "ragged.csv": (lambda p: p.write_text("a,b\n1,2\n3\n4,5\n"), "ragged-row"),
}  # fmt: skip


def bind(path: Path) -> None:
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)  # a socket's name may be 107 bytes at most
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


@pytest.mark.parametrize("name", FILES)
def test_a_source_that_cannot_be_taken(tmp_path: Path, name: str) -> None:
    make, code = FILES[name]
    source = tmp_path / name
    make(source)
    before = digest_of(source) if source.is_dir() or (source.is_file() and not source.is_symlink()) else None
    line = failed(inside("treat", source, "-o", tmp_path / "made" / "p", "--json"), code)
    assert name in line or name == "allbad"
    assert not (tmp_path / "made").exists()
    assert before is None or digest_of(source) == before
    for verb in ("inspect", "plan"):
        done = inside(verb, source)
        assert done.returncode in (0, 3) and done.stderr.count(b"\n") == (1 if done.returncode else 0)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/stdin"])
def test_a_device_is_no_source(tmp_path: Path, device: str) -> None:
    failed(inside("treat", device, "-o", tmp_path / "p", "--json"), "not-a-dataset")


NAMES = [
    b"two words.csv", b"new\nline.csv", "Größe 数据 ✓.csv".encode(), b"-o.csv", b"x" * 251 + b".csv",
    b"\xff\xfe.csv", b"\x1b[31mred.csv", b"[/red].csv".replace(b"/", b"bold"), b"'quote\".csv", b"per%20cent.csv",
    b"con\\slash.csv", b".csv",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_any_name_will_do(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / os.fsdecode(name)
    source.write_text(table(9))
    target = tmp_path / os.fsdecode(name.replace(b".csv", b".cdt"))
    before = digest_of(source)
    relative = Path(os.path.relpath(source, tmp_path / "in"))
    told = answer("treat", inside("treat", "-o", target, "--json", "--", relative, cwd=tmp_path / "in"))
    assert told["format"] == "CSV"
    assert answer("verify", inside("verify", target, "--source", source, "--json"))["bounds"] == "proven"
    shown = inside("show", target)
    assert shown.returncode == 0 and shown.stderr == b"" and b"\x1b" not in shown.stdout
    back = tmp_path / "back.csv"
    assert inside("restore", target, "-o", back).returncode == 0
    assert back.read_bytes() == source.read_bytes() and digest_of(source) == before
    assert left_behind(tmp_path) == [n for n in [target.name] if n.startswith(".")]


def test_a_wrong_suffix_deceives_nobody(tmp_path: Path, good: Path) -> None:
    lying = tmp_path / "field.csv"
    shutil.copy(good, lying)
    assert answer("inspect", inside("inspect", lying, "--json"))["format"] == "NPY"
    assert answer("treat", inside("treat", lying, "-o", tmp_path / "p", "--json"))["format"] == "NPY"


def bound_by_permissions() -> None:
    """Take from a child what lets root pass by every permission (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


@pytest.fixture
def permissions_bite(tmp_path: Path) -> None:
    shut = tmp_path / "shut-file"
    shut.touch(mode=0)
    try:
        done = subprocess.run(["cat", shut], preexec_fn=bound_by_permissions, capture_output=True, check=False)
    except subprocess.SubprocessError:
        pytest.skip("root's capabilities cannot be dropped here, so permissions bind nobody")
    shut.unlink()
    if done.returncode == 0:
        pytest.skip("permissions bind nobody here")


def test_permissions(tmp_path: Path, permissions_bite: None) -> None:
    def bound(*arguments: str | Path, **changes: str | None) -> Any:
        return cdt(*arguments, "--json", before=bound_by_permissions, cwd=tmp_path, **changes)

    secret, open_file = tmp_path / "secret.csv", tmp_path / "t.csv"
    for path, mode in ((secret, 0), (open_file, 0o444)):
        path.write_text(table(9))
        path.chmod(mode)
    failed(bound("treat", secret, "-o", "p"), "unreadable")
    locked = tmp_path / "locked"
    (locked / "deep").mkdir(parents=True)
    shutil.copy(open_file, locked)
    (locked / "deep").chmod(0)
    failed(bound("treat", locked, "-o", "p"), "unreadable")
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    for place in (shut / "p", shut / "new" / "p"):
        failed(bound("treat", open_file, "-o", place), "no-permission")
    answer("treat", bound("treat", open_file, "-o", "p"))
    failed(bound("restore", "p", "-o", shut / "t.csv"), "no-permission")
    homeless = {"CDT_HOME": str(shut / "home"), "NUMBA_CACHE_DIR": None}
    answer("treat", bound("treat", open_file, "-o", "p2", **homeless))
    np.save(tmp_path / "a.npy", field((8, 8)))
    answer("treat", bound("treat", "a.npy", "-o", "p4", **homeless))
    failed(bound("treat", open_file, "-o", "p3", "--seal", **homeless), "no-permission")
    (tmp_path / "p2" / "data").chmod(0)
    failed(bound("verify", "p2"), "unreadable")
    (tmp_path / "p2" / "data").chmod(0o755)
    (tmp_path / "p2" / "plan.json").chmod(0)
    failed(bound("verify", "p2"), "unreadable")
    (locked / "deep").chmod(0o755)
    assert not (tmp_path / "p3").exists() and left_behind(tmp_path) == [] and list(shut.iterdir()) == []


PLACES: dict[str, tuple[str, str]] = {
    "a file": ("t.csv", "target-exists"),
    "a folder": ("sub", "target-exists"),
    "below a file": ("t.csv/p", "target-exists"),
    "below a file's child": ("t.csv/x/p", "wrong-usage"),
    "a link": ("link", "target-exists"),
    "a dangling link": ("dangling", "target-exists"),
    "too long": ("y" * 256, "wrong-usage"),
    "proc": ("/proc/p", "wrong-usage"),
    "here": (".", "wrong-usage"),
    "inside the source": ("in/p", "wrong-usage"),
    "another program's": ("foreign", "target-exists"),
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("what", PLACES)
def test_a_target_that_cannot_be_taken(tmp_path: Path, what: str, overwrite: bool) -> None:
    place, code = PLACES[what]
    if place == "/proc/p" and not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    (tmp_path / "t.csv").write_text(table(9))
    for folder in ("sub", "foreign", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "foreign" / "manifest.json").write_text('{"name": "an extension"}')
    (tmp_path / "in" / "t.csv").write_text(table(9))
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    source = "in" if what == "inside the source" else "in/t.csv"
    more = ["--overwrite"] if overwrite else []
    done = inside("treat", source, "-o", place, "--json", *more, cwd=tmp_path)
    failed(done, code)
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


def test_parents_are_made_and_packages_replaced(tmp_path: Path, good: Path) -> None:
    target = tmp_path / "a" / "b" / "p"
    answer("treat", inside("treat", good, "-o", target, "--json"))
    failed(inside("treat", good, "-o", target, "--json"), "target-exists")
    other = tmp_path / "t.csv"
    other.write_text(table(9))
    answer("treat", inside("treat", other, "-o", target, "--overwrite", "--json"))
    assert answer("verify", inside("verify", target, "--json"))["ok"] and left_behind(target.parent) == []
    assert not (target / "data" / "arrays.zarr").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; where none may be mounted the test limits the size of a file instead."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here (test_a_file_that_cannot_grow covers ENOSPC's sibling EFBIG)")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "big.npy"
    np.save(source, np.random.default_rng(1).normal(size=60_000))
    tables = tmp_path / "t.csv"
    tables.write_text(table(20_000))
    both = tmp_path / "both"
    both.mkdir()
    shutil.copy(source, both), shutil.copy(tables, both)
    for what, more in ((source, []), (tables, []), (source, ["--seal"]), (both, [])):
        failed(inside("treat", what, "-o", small_disk / "p", "--json", *more), "disk-full")
        assert list(small_disk.iterdir()) == []
    assert inside("treat", source, "-o", tmp_path / "p").returncode == 0
    failed(inside("restore", tmp_path / "p", "-o", small_disk / "b.npy", "--json"), "disk-full")
    assert list(small_disk.iterdir()) == []
    assert inside("treat", source, "-o", tmp_path / "s", "--seal").returncode == 0
    home = small_disk / "home"
    shutil.copytree(Path(environment()["CDT_HOME"]) / "keys", home / "keys")
    failed(cdt("verify", tmp_path / "s", "--json", CDT_HOME=str(home)), "disk-full")
    assert [p for p in (home / "scratch").iterdir()] == []


def test_a_file_that_cannot_grow(tmp_path: Path) -> None:
    source = tmp_path / "big.npy"
    np.save(source, np.random.default_rng(1).normal(size=60_000))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    failed(cdt("treat", source, "-o", tmp_path / "p", "--json", before=limited), "disk-full")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.npy"]


def test_an_answer_that_cannot_be_written(good: Path, tmp_path: Path) -> None:
    for arguments in (["formats"], ["formats", "--json"], ["treat", str(good), "-o", str(tmp_path / "p"), "--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command(*arguments), stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
            )
        assert done.returncode == 7 and done.stderr.startswith(b"cdt: disk-full: ") and done.stderr.count(b"\n") == 1
    closed = subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *command("formats")], env=environment(), check=False)
    assert closed.returncode == 0
    head = subprocess.run(
        ["sh", "-c", '"$@" | head -c 1', "sh", *command("formats")], capture_output=True, env=environment()
    )
    assert head.returncode == 0 and head.stderr == b""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source that takes a few seconds."""
    path = tmp_path_factory.mktemp("slow") / "slow.csv"
    row = "".join(f"{i},{i * 0.37:.4f},name {i},{(i * 7919) % 10007}\n" for i in range(20_000))
    path.write_text("n,x,name,m\n" + row * 40)
    return path


def started(source: Path, target: Path, *more: str) -> "subprocess.Popen[bytes]":
    """Start a treatment and return once it writes."""
    before = set(target.parent.glob(f".{target.name}.cdt-*/data/tables/*"))
    run = subprocess.Popen(
        command("treat", source, "-o", target, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    limit = time.monotonic() + 60
    while not set(target.parent.glob(f".{target.name}.cdt-*/data/tables/*")) - before:
        assert run.poll() is None and time.monotonic() < limit, run.communicate()
        time.sleep(0.01)
    return run


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(slow: Path, tmp_path: Path, signum: int) -> None:
    before = slow.stat().st_mtime_ns
    run = started(slow, tmp_path / "p", "--json")
    run.send_signal(signum)
    out, err = run.communicate(timeout=60)
    failed(subprocess.CompletedProcess([], run.returncode, out, err), "interrupted")
    assert list(tmp_path.iterdir()) == [] and slow.stat().st_mtime_ns == before


def test_a_killed_run_is_cleared_by_the_next(slow: Path, good: Path, tmp_path: Path) -> None:
    run = started(slow, tmp_path / "p")
    living = started(slow, tmp_path / "p")
    run.kill()
    run.communicate()
    assert not (tmp_path / "p").exists() and len(left_behind(tmp_path)) == 2
    assert cdt("treat", good, "-o", tmp_path / "p").returncode == 0
    assert len(left_behind(tmp_path)) == 1, "the living run's folder stays, the dead one's goes"
    assert cdt("verify", tmp_path / "p").returncode == 0
    out, err = living.communicate(timeout=120)
    failed(subprocess.CompletedProcess([], living.returncode, out, err), "target-exists", as_json=False)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("how", ["grown", "rewritten", "cut", "replaced"])
def test_a_source_that_does_not_hold_still(slow: Path, tmp_path: Path, how: str) -> None:
    source = tmp_path / "in" / "slow.csv"
    source.parent.mkdir()
    shutil.copy(slow, source)
    run = started(source, tmp_path / "p", "--json")
    if how == "grown":
        with source.open("ab") as file:
            file.write(b"1,2,x,3\n")
    elif how == "rewritten":
        with source.open("r+b") as file:
            file.seek(source.stat().st_size // 2)
            file.write(b"9")
    elif how == "cut":
        os.truncate(source, source.stat().st_size // 2 // 4096 * 4096)
    else:
        shutil.copy(slow, tmp_path / "in" / "new")
        (tmp_path / "in" / "new").replace(source)
    out, err = run.communicate(timeout=120)
    if how == "cut" and run.returncode == 3 and b"source-changed" not in err:
        assert err.count(b"\n") == 1  # met while decoding: as a row that ends early
    else:
        failed(subprocess.CompletedProcess([], run.returncode, out, err), "source-changed")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_what_is_no_package(tmp_path: Path, good: Path) -> None:
    (tmp_path / "folder").mkdir()
    for verb, more in (("verify", []), ("show", []), ("restore", ["-o", str(tmp_path / "back")])):
        failed(inside(verb, tmp_path / "folder", "--json", *more), "not-a-package")
        failed(inside(verb, good, "--json", *more), "not-a-package")
        failed(inside(verb, tmp_path / "none", "--json", *more), "not-found")
    assert not (tmp_path / "back").exists()


def test_a_bug_of_ours_writes_a_report(tmp_path: Path, good: Path) -> None:
    code = (
        "import customer_data_treatment.pipeline.submission as s, customer_data_treatment.cli as c, sys\n"
        "def broken(*_): raise RuntimeError('boom')\n"
        "s.treat_any = broken\n"
        "sys.argv[0] = 'cdt'; c.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "treat", str(good), "-o", str(tmp_path / "p"), "--json"],
        capture_output=True, env=environment(TMPDIR=str(tmp_path)), check=False,
    )  # fmt: skip
    line = failed(done, "internal")
    (report,) = tmp_path.glob("cdt-fault-*.txt")
    assert str(report) in line and "boom" in report.read_text() and not (tmp_path / "p").exists()


def test_memory_that_is_not_to_be_had(good: Path, tmp_path: Path) -> None:
    failed(inside("treat", good, "-o", tmp_path / "p", "--memory", "1MiB", "--json"), "memory-plan")
    assert list(tmp_path.iterdir()) == []


def test_a_parent_taken_back_by_another_run_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs share a new parent; the one that fails removes it between the other's two steps."""
    from customer_data_treatment.adapters import files

    real, calls = files.locked_folder, []

    def once_gone(parent: Path, name: str) -> object:
        calls.append(name)
        if len(calls) == 1:
            parent.rmdir()
        return real(parent, name)

    monkeypatch.setattr(files, "locked_folder", once_gone)
    staging = files.LocalStaging(tmp_path / "packages" / "a", overwrite=False)
    assert staging.folder.is_dir() and len(calls) == 2
    staging.discard()
