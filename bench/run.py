"""Our own benchmarks against the peers scientists use, whole processes side by side in one run.

    python bench/run.py [treat] [memory] [--fields climate,sky] [--gigabytes 1] [--repeat 3] [--json]

treat    cdt treat against h5py gzip-4, netCDF4 zlib-4 and np.savez_compressed, every process on one and
         the same core: lossless, and with equal rounding (theirs on the values that ours decodes to).
memory   peak memory above the imports at 4 and 8 GB.

Speeds are bytes of the field over CPU seconds (user + system) of the whole process, start-up and reading
included; wall seconds stand beside them. Medians of the repeats.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench.fields import FIELDS, write  # noqa: E402
from bench.peers import PEERS  # noqa: E402

TARGETS = {"lossless": 5.0, "rounded": 3.0}
BOUND = "rel=1e-3"


def measured(command: list[str]) -> dict[str, float]:
    """Run one process on one core and return its wall and CPU seconds and its peak memory."""
    core = {min(os.sched_getaffinity(0))}
    began = os.times().elapsed
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, core))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return {
        "wall": os.times().elapsed - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024.0,
    }


def size_of(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def cdt(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "customer_data_treatment.cli", *arguments]


def contest(field: str, mode: str, source: Path, folder: Path, repeat: int) -> list[dict[str, Any]]:
    """Return one row a contestant."""
    package = folder / "package"
    treat = cdt("treat", str(source), "-o", str(package), "--workers", "1")
    treat += ["--bound", BOUND] if mode == "rounded" else []
    contestants = {"cdt treat": (treat, package, package / "data")}
    theirs = source
    if mode == "rounded":
        remove(package)
        subprocess.run(treat, check=True, stdout=subprocess.DEVNULL)
        theirs = folder / "decoded.npy"
        remove(theirs)
        subprocess.run(cdt("restore", str(package), "-o", str(theirs)), check=True, stdout=subprocess.DEVNULL)
    for name in PEERS:
        target = folder / "peer.npz"
        contestants[name] = ([sys.executable, str(HERE / "peers.py"), name, str(theirs), str(target)], target, target)
    rows = []
    for name, (command, target, counted) in contestants.items():
        runs = []
        for _ in range(repeat):
            remove(target)
            runs.append(measured(command) | {"stored": float(size_of(counted)) if counted.exists() else 0.0})
            runs[-1]["stored"] = float(size_of(counted))
        remove(target)
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        rows.append(
            {
                "field": field,
                "mode": mode,
                "name": name,
                "bytes": source.stat().st_size,
                "MB_per_cpu_s": source.stat().st_size / middle["cpu"] / 1e6,
                "wall_s": middle["wall"],
                "stored_over_source": middle["stored"] / source.stat().st_size,
                "peak_MiB": middle["peak"] / (1 << 20),
            }
        )
    fastest = max(row["MB_per_cpu_s"] for row in rows[1:])
    rows[0]["times_fastest_peer"] = rows[0]["MB_per_cpu_s"] / fastest
    rows[0]["target"] = TARGETS[mode]
    return rows


def treat(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    rows = []
    for field in arguments.fields.split(","):
        source = folder / "field.npy"
        write(field, source, arguments.gigabytes)
        for mode in TARGETS:
            rows += contest(field, mode, source, folder, arguments.repeat)
            if not arguments.json:
                show(rows[-1 - len(PEERS) :])
        source.unlink()
    return rows


def memory(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    rows = []
    for gigabytes in (4.0, 8.0):
        source = folder / "field.npy"
        write("climate", source, gigabytes)
        for bound in ("lossless", BOUND):
            script = HERE.parent / "tests" / "memory" / "peak.py"
            command = [sys.executable, str(script), str(source), str(folder / "package"), bound]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            row = {"gigabytes": gigabytes, "bound": bound} | json.loads(done.stdout)
            row["above_imports_MiB"] = row["above_imports"] / (1 << 20)
            rows.append(row)
            if not arguments.json:
                print(f"{gigabytes:g} GB {bound}: {row['above_imports_MiB']:.1f} MiB above the imports (target <= 200)")
        source.unlink()
        remove(folder / "package")
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        gain = f"  {row['times_fastest_peer']:.1f}x the fastest (target {row['target']:g}x)" if "target" in row else ""
        print(
            f"{row['field']:8s} {row['mode']:9s} {row['name']:20s} {row['MB_per_cpu_s']:7.0f} MB/CPU-s "
            f"{row['wall_s']:6.1f} s  size {row['stored_over_source']:.3f}  peak {row['peak_MiB']:6.0f} MiB{gain}",
            flush=True,
        )


BENCHMARKS = {"treat": treat, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" or ".join(BENCHMARKS))
    parser.add_argument("--fields", default=",".join(FIELDS))
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()}
    if not arguments.json:
        print(f"{machine['cores']} cores, load {machine['load'][0]:.1f}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="cdt-bench-") as folder:
        found = {name: BENCHMARKS[name](arguments, Path(folder)) for name in arguments.names or BENCHMARKS}
    if arguments.json:
        print(json.dumps({"schema": 1, **machine, "results": found}, indent=1))


if __name__ == "__main__":
    main()
