"""cdt: the command line. Scripts rely on its options, exit codes and JSON (docs/command-line.md)."""

import atexit
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from . import errors
from .errors import CdtError, CustomerError, FacilityError, InternalFault

app = typer.Typer(
    name="cdt",
    help="Treat scientific data: decode, check, shrink within a proven bound, seal and certify.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]
Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A file, a folder, or a URL (s3://, gs://, az://, file://).")
]
Package = Annotated[Path, typer.Argument(metavar="PACKAGE", help="A folder that cdt treat made.")]
Bound = Annotated[
    list[str] | None,
    typer.Option(
        "--bound",
        metavar="[FIELD:]BOUND",
        help="lossless (default), auto, rel=1e-3, abs=0.01 or noise=0.25; repeats; TABLE/COLUMN names a column.",
    ),
]
Modality = Annotated[
    str | None, typer.Option("--modality", help="What the data measures, where the format cannot say.")
]
LevelAsked = Annotated[str | None, typer.Option("--level", help="Exit 4 unless this level is reached.")]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", help="A Frictionless table schema or a REDCap dictionary.")
]
Checksums = Annotated[Path | None, typer.Option("--checksums", help="A list as md5sum or sha256sum writes it.")]
Metadata = Annotated[Path | None, typer.Option("--metadata", help="Title, creators, licence ... as JSON or YAML.")]
Seal = Annotated[bool, typer.Option("--seal", help="Encrypt what holds values (AES-256-GCM, key ring in CDT_HOME).")]
Memory = Annotated[str | None, typer.Option("--memory", help="Most memory above the imports, e.g. 512MiB.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads; the result is the same for any number.")
]
Cluster = Annotated[str | None, typer.Option("--cluster", help="A Dask scheduler (not built yet).")]
Config = Annotated[Path | None, typer.Option("--config", help="customer_config.yaml (else CDT_CONFIG, else ./).")]


def main() -> None:
    """Run cdt and exit with its status; every failure is one line on stderr, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  until the process ends
    status = run(sys.argv[1:])
    if status == errors.INTERRUPTED:
        sys.stdout.flush()
        atexit._run_exitfuncs()
        os._exit(status)  # pyarrow's threads may still read through Python: its own end would abort on them
    sys.exit(status)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# Typer brings its own copy of click, so the class of all wrong usage is found from the one it exports.
_WrongUsage: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    wants_json = "--json" in arguments
    _speak_any_name(wants_json)
    try:
        status = app(args=arguments or ["--help"], prog_name="cdt", standalone_mode=False)
        if status == errors.INTERRUPTED:  # typer's word for Ctrl-C
            return _interrupted(wants_json)
        _flush()
        return int(status or 0)
    except typer.Exit as done:
        return _leave(done, wants_json)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(wants_json)
    except BrokenPipeError:
        _silence()
        return errors.OK
    except CdtError as error:
        return _fail(error, wants_json)
    except MemoryError:
        return _fail(_no_memory(), wants_json)
    except Exception as error:
        return _fail(_usage(error, arguments) if isinstance(error, _WrongUsage) else _fault(error), wants_json)


def _speak_any_name(wants_json: bool) -> None:
    """Let stdout take names that are not UTF-8, as escapes that JSON knows too; JSON is UTF-8 in any locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if wants_json else None, errors="backslashreplace")


def _interrupted(wants_json: bool) -> int:
    return _fail(CustomerError("nothing was left at the target", code="interrupted"), wants_json)


def _leave(done: typer.Exit, wants_json: bool) -> int:
    try:
        _flush()
    except BrokenPipeError:
        _silence()
    except CdtError as error:
        return _fail(error, wants_json=False)
    return int(done.exit_code)


def _flush() -> None:
    """Put the answer out, or say why it could not be."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unspoken(error) from error


def _unspoken(error: OSError) -> FacilityError:
    _silence()
    reason = error.strerror or "it failed"
    return FacilityError(
        f"the answer cannot be written to stdout: {reason}", code="disk-full", remedy="give it another place"
    )


def _silence() -> None:
    """Send what stdout still holds nowhere, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: Any, arguments: list[str]) -> CustomerError:
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    named = [word for word in arguments[:1] if word in commands]
    where = f"cdt {' '.join((*named, '--help'))} shows what it takes"
    return CustomerError(" ".join(error.format_message().split()).rstrip("."), code="wrong-usage", remedy=where)


def _no_memory() -> FacilityError:
    return FacilityError(
        "the memory for it was not to be had", code="memory-plan", remedy="free memory, or set a smaller --memory"
    )


def _fail(error: CdtError, wants_json: bool) -> int:
    # A control character from a file's name must not steer the terminal.
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in error.line()
    )
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr)
    if wants_json:
        try:
            print(json.dumps({"schema": 1, "error": error.record()}, ensure_ascii=False), flush=True)
        except OSError:
            _silence()
    return error.exit_status


def _fault(error: Exception) -> InternalFault:
    """Write a bug's report to a file and return the error that names it."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="cdt-fault-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
        remedy = f"please report it with the file {name}"
    except OSError:
        remedy = "please report it"
    return InternalFault(f"a mistake of our own ({type(error).__name__})", code="internal", remedy=remedy)


def _answer(record: dict[str, Any], as_json: bool, people: Callable[[Any], None]) -> None:
    """Print one answer: JSON for scripts, else what a person reads."""
    try:
        if as_json:
            print(json.dumps(record, ensure_ascii=False, indent=1))
            return
        from rich.console import Console

        people(Console(highlight=False, soft_wrap=False))
    except BrokenPipeError:
        _silence()
    except OSError as error:
        raise _unspoken(error) from error


@app.command()
def formats(as_json: Json = False) -> None:
    """List the formats that are read, what each loses if anything, and the extra it needs."""
    from .formats.detect import all_formats
    from .package import terminal

    listed = [
        {
            "name": facts.name,
            "family": str(facts.family),
            "modality": str(facts.modality),
            "suffixes": list(facts.suffixes),
            "lost": facts.lost,
            "extra": facts.extra,
            "restores": facts.restores,
        }
        for facts in sorted(all_formats().values(), key=lambda f: f.name.lower())
    ]
    record = {"schema": 1, "formats": listed}
    _answer(record, as_json, lambda console: terminal.formats(record, console))


@app.command()
def inspect(source: Source, as_json: Json = False) -> None:
    """Say what a source is, by its content: format, modality, fields."""
    from .local import source_of, surroundings
    from .package import terminal
    from .pipeline.inspect import inspect as look

    record = look(source_of(source), surroundings())
    _answer(record, as_json, lambda console: terminal.inspected(record, console))


@app.command()
def plan(
    source: Source,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the package would go.")] = None,
    bound: Bound = None,
    modality: Modality = None,
    level: LevelAsked = None,
    schema: SchemaFile = None,
    checksums: Checksums = None,
    metadata: Metadata = None,
    seal: Seal = False,
    memory: Memory = None,
    workers: Workers = None,
    cluster: Cluster = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say what treat would do, and what it would cost."""
    from .local import source_of, surroundings, treat_options
    from .package import terminal
    from .pipeline.plan import plan as draw

    options = treat_options(
        bound, modality, level, schema, checksums, metadata, seal, memory, workers, cluster, config, overwrite=True
    )
    record = draw(source_of(source), options, surroundings(), output)
    _answer(record, as_json, lambda console: terminal.planned(record, console))


@app.command()
def treat(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PACKAGE", help="The package to make.")],
    bound: Bound = None,
    modality: Modality = None,
    level: LevelAsked = None,
    schema: SchemaFile = None,
    checksums: Checksums = None,
    metadata: Metadata = None,
    seal: Seal = False,
    memory: Memory = None,
    workers: Workers = None,
    cluster: Cluster = None,
    config: Config = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a package that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Treat a source: decode, check, shrink, store, certify. The source itself is never touched."""
    from .local import progress_bar, source_of, surroundings, treat_options
    from .package import terminal
    from .pipeline.submission import treat_any

    options = treat_options(
        bound, modality, level, schema, checksums, metadata, seal, memory, workers, cluster, config, overwrite=overwrite
    )
    with progress_bar() as progress:
        summary = treat_any(source_of(source), output, options, surroundings(progress))
    _answer(
        summary.record(),
        as_json,
        lambda console: terminal.summary(summary.record(), summary.body, console, summary.auto_stored),
    )
    if options.level is not None and not summary.reaches(options.level):
        error = CustomerError(
            f"the package is {summary.level}, below the {options.level} asked for",
            code="below-level",
            where=str(output),
            remedy="cdt show lists the findings",
        )
        print(error.line(), file=sys.stderr)
        raise typer.Exit(error.exit_status)


@app.command()
def show(package: Package, as_json: Json = False) -> None:
    """Show a package's level, score, findings, fields and sizes."""
    from .package import terminal
    from .pipeline.show import certificate_of

    body = certificate_of(package)
    record = {"schema": 1, "package": str(package), "certificate": body}
    _answer(record, as_json, lambda console: terminal.show(body, console))


@app.command()
def verify(
    package: Package,
    source: Annotated[
        str | None, typer.Option("--source", help="Prove bounds and fidelity on the source again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove a package: every digest, every decoded chunk, score and level from the stored counts."""
    from .local import progress_bar, source_of, surroundings
    from .package import terminal
    from .pipeline.submission import verify_any

    origin = source_of(source) if source is not None else None
    with progress_bar() as progress:
        found = verify_any(package, origin, surroundings(progress))
    record = found.record()
    _answer(record, as_json, lambda console: terminal.verified(record, console))
    if found.ok is None:
        print(found.unopened, file=sys.stderr)
        raise typer.Exit(errors.SURROUNDINGS)
    if not found.ok:
        first = found.problems[0]
        what = f"{first['file']}: {first['what']}"
        print(CustomerError(what, code="not-verified", where=str(package)).line(), file=sys.stderr)
        raise typer.Exit(errors.NOT_VERIFIED)


@app.command()
def restore(
    package: Package,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="TARGET", help="The file or folder to write.")],
    as_json: Json = False,
) -> None:
    """Write a package's data back in the source's format, else as NetCDF and Parquet."""
    from .local import progress_bar, surroundings
    from .package import terminal
    from .pipeline.restore import restore as write_back

    with progress_bar() as progress:
        record = write_back(package, output, surroundings(progress)).record()
    _answer(record, as_json, lambda console: terminal.restored(record, console))


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the packages go.")] = Path("demo-packages"),
    as_json: Json = False,
) -> None:
    """Treat real datasets of several modalities that ship with installed packages."""
    from .demo import run_demo

    record = run_demo(output, quiet=as_json)
    _answer(record, as_json, lambda console: None)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Benchmarks to run; all if none.")] = None,
    as_json: Json = False,
) -> None:
    """Run the repository's own benchmarks against their peers (in a checkout)."""
    import subprocess

    script = Path("bench/run.py")
    if not script.is_file():
        what = "benchmarks run in a checkout of the repository"
        raise CustomerError(what, code="wrong-usage", where=str(Path.cwd()), remedy="change into it first")
    flags = ["--json"] if as_json else []
    raise typer.Exit(subprocess.run([sys.executable, str(script), *(names or ()), *flags], check=False).returncode)


if __name__ == "__main__":
    main()
