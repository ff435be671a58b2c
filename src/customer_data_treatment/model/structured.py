"""JSON, or YAML where the name says so, that a customer wrote by hand: parsed with the line of its fault."""

import json
from typing import Any

from ..errors import CustomerError


def parse_structured(raw: bytes, name: str, code: str) -> Any:
    """Return what the text says; raise CustomerError (`code`) naming the line where it is no JSON or YAML.

    YAML is read where the name ends in .yaml or .yml, and its dates stay text. Keys that stand twice
    are refused, since one of the two would be lost.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault("it is no UTF-8 text", name, code, raw[: error.start].count(b"\n") + 1) from error
    if name.lower().endswith((".yaml", ".yml")):
        return _yaml(text, name, code)
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        raise fault(f"the key {error} stands twice", name, code, _line_of(text, str(error))) from error
    except json.JSONDecodeError as error:
        raise fault(f"it is no JSON: {error.msg}", name, code, error.lineno) from error
    except (RecursionError, ValueError) as error:
        raise fault("it is nested too deeply or holds an impossible number", name, code, 1) from error


def fault(what: str, name: str, code: str, line: int | None = None, place: str = "") -> CustomerError:
    """Return the error that names the file and the line or place of a fault."""
    where = ", ".join(part for part in (name, f"line {line}" if line else "", place) if part)
    return CustomerError(what, code=code, where=where, remedy="correct the file")


class _TwiceError(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found


def _line_of(text: str, key: str) -> int:
    lines = [number for number, line in enumerate(text.splitlines(), 1) if json.dumps(key) in line]
    return lines[1] if len(lines) > 1 else 1


def _yaml(text: str, name: str, code: str) -> Any:
    import yaml

    class Plain(yaml.SafeLoader):
        """Safe, and a date stays the text it was."""

    Plain.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in entries if tag != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=Plain)):
            raise fault("it uses YAML aliases, which are not read", name, code)
        return yaml.load(text, Loader=Plain)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise fault(f"it is no YAML: {error.problem or error.context}", name, code, line) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise fault("it is no YAML", name, code) from error
