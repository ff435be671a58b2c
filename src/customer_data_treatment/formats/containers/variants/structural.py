"""What VCF 4.4 asks of structural variants and of phase sets beyond types and counts (1.4.2, 3 and 5).

Such records are few: they are judged one by one.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .header import Header
from .records import Parsed
from .samples import Group
from .tally import Tally
from .typed import as_bool

_REFERENCE_BLOCK = ("<*>", "<NON_REF>")
_CLAIMS: Mapping[str, frozenset[str]] = {
    "DEL": frozenset({"D", "J", "DJ"}),
    "DUP": frozenset({"D", "J", "DJ"}),
    "CNV": frozenset({"D", "."}),
    "INV": frozenset({"J", "DJ", "."}),
    "INS": frozenset({"J", "DJ", "."}),
    "breakend": frozenset({"J", "."}),
    "other": frozenset({"."}),
}
_PER_ALLELE = {"MEINFO": 4, "METRANS": 4, "CICN": 2, "CIPOS": 2, "CIEND": 2, "CILEN": 2}
_INTERVALS = ("CICN", "CIPOS", "CIEND", "CILEN", "CIRB", "CIRUC")
_KEYS = r"(^|;)(SVLEN|SVCLAIM|RN|RUS|RUL|RUC|RB|RUB|MEINFO|METRANS|CI[A-Z]+)="

Info = dict[str, list[str]]


def check_structural(parsed: Parsed, header: Header, tally: Tally) -> None:
    """Count the rules of symbolic alleles and phase sets; earlier versions have none."""
    if header.version < "4.4":
        return
    cells = parsed.cells
    concerned = as_bool(pc.match_substring_regex(cells.fixed[4], r"[<\[\]]"))
    concerned |= as_bool(pc.match_substring_regex(cells.fixed[7], _KEYS))
    rows = pa.array(np.flatnonzero(concerned))
    formats = cells.format.take(rows).to_pylist() if cells.format is not None else [""] * len(rows)
    alts, infos = cells.fixed[4].take(rows).to_pylist(), cells.fixed[7].take(rows).to_pylist()
    bad = [
        not _agrees(alt.split(","), _parse(info), text.split(":"))
        for alt, info, text in zip(alts, infos, formats, strict=True)
    ]
    tally.rows("info-sv", np.array(bad, bool), cells.numbers[concerned])
    for group in parsed.groups:
        _phases(group, cells.numbers[group.rows], cells.samples, tally)


def _parse(info: str) -> Info:
    pairs = (part.partition("=") for part in info.split(";"))
    return {key: value.split(",") if equals else [] for key, equals, value in pairs}


def _agrees(alts: list[str], info: Info, formats: list[str]) -> bool:
    kinds = [_kind(alt) for alt in alts]
    symbolic = [kind for alt, kind in zip(alts, kinds, strict=True) if kind not in ("", "breakend")]
    if symbolic and "SVLEN" not in info:
        return False
    if {"DEL", "DUP"} & set(kinds) and "SVCLAIM" not in info:
        return False
    claims = info.get("SVCLAIM", [])
    if len(claims) == len(alts) and any(
        kind and claim not in _CLAIMS[kind] for kind, claim in zip(kinds, claims, strict=True)
    ):
        return False
    if any(len(info[key]) != count * len(alts) for key, count in _PER_ALLELE.items() if _given(info, key)):
        return False
    if not all(_intervals(info[key]) for key in _INTERVALS if _given(info, key)):
        return False
    lengths = info.get("SVLEN", [])
    if "CN" in formats and len(lengths) == len(alts):
        held = {n for n, kind in zip(lengths, kinds, strict=True) if kind in ("DEL", "DUP", "CNV")}
        if len(held) > 1:
            return False
    return not ("CICN" in formats and "CN" not in formats) and _repeats(alts, info)


def _given(info: Info, key: str) -> bool:
    return key in info and info[key] != ["."]


def _kind(alt: str) -> str:
    """Return the class of an allele: its top-level symbol, "breakend", "other", or "" for a sequence."""
    if alt in _REFERENCE_BLOCK:
        return ""
    if alt.startswith("<"):
        top = re.split(r"[:>]", alt[1:])[0]
        return top if top in _CLAIMS else "other"
    return "breakend" if "[" in alt or "]" in alt else ""


def _intervals(values: list[str]) -> bool:
    """Tell whether pairs are low, high with low <= 0 <= high; dots are open."""
    numbers = [_number(value) for value in values]
    return all(n is None or n <= 0 for n in numbers[::2]) and all(n is None or n >= 0 for n in numbers[1::2])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _repeats(alts: list[str], info: Info) -> bool:
    """Tell whether the keys of tandem repeats (<CNV:TR>) agree with each other (VCF 4.4, 1.4.2)."""
    tandem = alts.count("<CNV:TR>")
    if not tandem:
        return True
    if not ("RUS" in info or "RUL" in info):
        return False
    repeats = sum(int(n) for n in info["RN"] if n.isdigit()) if "RN" in info else tandem
    if any(len(info[key]) != repeats for key in ("RUS", "RUL", "RUC", "RB") if key in info):
        return False
    if any(ci in info and len(info[ci]) != 2 * len(info.get(of, [])) for ci, of in (("CIRUC", "RUC"), ("CIRB", "RB"))):
        return False
    for ci, of in (("CIRUC", "RUC"), ("CIRB", "RB")):
        pairs = zip(info.get(ci, []), np.repeat(info.get(of, []), 2).tolist(), strict=False)
        if any(value == "." and bound != "." for bound, value in pairs):
            return False
    units = info.get("RUL") or [str(len(unit)) if unit != "." else "." for unit in info["RUS"]]
    if _given(info, "RUS") and _given(info, "RUL") and [str(len(unit)) for unit in info["RUS"]] != info["RUL"]:
        return False
    return _unit_bases(info) and _bases(units, info)


def _unit_bases(info: Info) -> bool:
    if "RUB" not in info:
        return True
    counts = [count for count in info.get("RUC", []) if count != "."]
    return bool(counts) and all(count.isdigit() for count in counts) and len(info["RUB"]) == sum(map(int, counts))


def _bases(units: list[str], info: Info) -> bool:
    """Tell whether RB is RUC times RUL, to within one unit."""
    for unit, count, total in zip(units, info.get("RUC", []), info.get("RB", []), strict=False):
        numbers = [_number(text) for text in (unit, count, total)]
        if all(n is not None for n in numbers):
            length, copies, bases = (float(n) for n in numbers if n is not None)
            if abs(bases - copies * length) >= max(1.0, length):
                return False
    return True


def _phases(group: Group, lines: "np.ndarray[Any, Any]", samples: int, tally: Tally) -> None:
    """Count cells in which an unphased allele has a phase set, or a missing phase set an order or quality."""
    if "PSL" not in group.keys or group.keys[0] != "GT":
        return
    texts = {
        key: group.texts[group.keys.index(key)].to_pylist() for key in ("GT", "PSL", "PSO", "PSQ") if key in group.keys
    }
    bad = np.array([not _phased({key: held[at] for key, held in texts.items()}) for at in range(len(group.counts))])
    hits = np.argwhere(bad.reshape(len(lines), samples))
    places = [f"line {int(lines[row])}, sample {int(sample) + 1} PSL" for row, sample in hits[:5]]
    tally.add("sample-phase", bad.size, places, len(hits))


def _phased(cell: dict[str, str | None]) -> bool:
    genotype, sets = cell["GT"] or ".", (cell["PSL"] or ".").split(",")
    marks = re.findall(r"[/|]", genotype)
    count = len(re.split(r"[/|]", genotype.lstrip("/|")))
    if len(marks) < count:  # without a leading mark the first allele is phased unless another one is not
        marks.insert(0, "/" if "/" in marks else "|")
    if any(mark == "/" and name != "." for mark, name in zip(marks, sets, strict=False)):
        return False
    others = ((cell.get(key) or ".").split(",") for key in ("PSO", "PSQ"))
    return not any(name == "." and value != "." for values in others for name, value in zip(sets, values, strict=False))
