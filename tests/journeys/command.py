"""The real command line, started as a process, and what every answer of it must keep."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from customer_data_treatment.cli import run
from customer_data_treatment.errors import EXIT_STATUS
from customer_data_treatment.settings import state_folder

KERNELS = os.environ.get("NUMBA_CACHE_DIR") or str(state_folder() / "kernels")
_FOLDER = Path(__file__).resolve().parents[2] / "schemas"
SCHEMAS = {p.name.removesuffix(".schema.json"): json.loads(p.read_text()) for p in sorted(_FOLDER.glob("*.json"))}
_REGISTRY: Any = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in SCHEMAS.values())
_PATIENCE_S = 120

Done = subprocess.CompletedProcess


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment of a child: kernels compiled once, whatever CDT_HOME says."""
    env = {**os.environ, "NUMBA_CACHE_DIR": KERNELS, "SOURCE_DATE_EPOCH": "1700000000"}
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "customer_data_treatment.cli", *map(os.fsdecode, arguments)]


def cdt(*arguments: str | Path, cwd: Path | None = None, before: Any = None, **changes: str | None) -> "Done[bytes]":
    """Run cdt to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        check=False,
        env=environment(**changes),
        cwd=cwd,
        timeout=_PATIENCE_S,
        preexec_fn=before,
        stdin=subprocess.DEVNULL,
    )


def inside(*arguments: str | Path, cwd: Path | None = None) -> "Done[bytes]":
    """Run cdt in this process, forty times as fast; what only a process shows is not tried by it."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict") for name in ("stdout", "stderr")}
    streams["stderr"].reconfigure(errors="backslashreplace")
    kept, here = {name: getattr(sys, name) for name in streams}, os.getcwd()
    words = [os.fsdecode(word) for word in arguments]
    try:
        os.chdir(cwd or here)
        for name, stream in streams.items():
            setattr(sys, name, stream)
        status = run(words)
    finally:
        os.chdir(here)
        for name, stream in kept.items():
            setattr(sys, name, stream)
    out, err = (streams[name] for name in ("stdout", "stderr"))
    out.flush(), err.flush()
    return subprocess.CompletedProcess(words, status, out.buffer.getvalue(), err.buffer.getvalue())


def complaints(name: str, value: Any) -> list[str]:
    """Return what a JSON Schema has to say against an answer."""
    validator = Draft202012Validator(SCHEMAS[name], registry=_REGISTRY)
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(value)]


def answer(name: str, done: "Done[bytes]", status: int = 0) -> Any:
    """Return the one JSON object on stdout, held against its schema."""
    assert done.returncode == status, (done.returncode, done.stderr[-2000:], done.stdout[-500:])
    value = json.loads(done.stdout.decode("utf-8"))
    assert complaints(name, value) == []
    return value


def failed(done: "Done[bytes]", code: str, *, as_json: bool = True) -> str:
    """Hold a failure to its contract: status, one line on stderr, one object on stdout; return the line."""
    assert done.returncode == EXIT_STATUS[code], (done.returncode, done.stderr[-2000:], done.stdout[-500:])
    lines = done.stderr.decode("utf-8").splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"cdt: {code}: "), lines
    assert all(c.isprintable() for c in lines[0]) and "Traceback" not in lines[0]
    if as_json:
        error = answer("error", done, EXIT_STATUS[code])["error"]
        assert error["code"] == code and error["message"] and error["message"].split()[0] in lines[0]
    else:
        assert done.stdout == b""
    return lines[0]


def digest_of(path: Path) -> str:
    """Return a digest of a file, or of a folder's names and bytes."""
    if path.is_dir():
        inner = "".join(f"{p.relative_to(path)} {digest_of(p)}\n" for p in sorted(path.rglob("*")) if p.is_file())
        return hashlib.sha256(os.fsencode(inner)).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(package: Path) -> dict[str, bytes]:
    return {p.relative_to(package).as_posix(): p.read_bytes() for p in sorted(package.rglob("*")) if p.is_file()}


def left_behind(folder: Path) -> list[str]:
    """Return the names of hidden leftovers in a folder."""
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def field(shape: tuple[int, ...] = (40, 50), seed: int = 1) -> "np.ndarray[Any, Any]":
    """Return a smooth field with noise, as measurements are."""
    rng = np.random.default_rng(seed)
    values = 280 + sum(np.sin(index / 7.0) for index in np.indices(shape)) + rng.normal(0, 0.1, shape)
    return np.asarray(values, "f4")


def table(rows: int = 60) -> str:
    """Return a CSV with a secret in every column."""
    lines = ["patient,zip,age,note"]
    lines += [f"SECRETID{i:04d},0{2134 + i},{20 + i * 0.25},Xanthippe{i % 7} coughs" for i in range(rows)]
    return "\n".join(lines) + "\n"
