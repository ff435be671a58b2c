"""Files of a folder put in order: slices that stack into a volume, the others apart (PS3.3, C.7.6.2)."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from .instance import Instance
from .rules import Tallies

_SAME = 1e-3  # mm: positions nearer than this are one
_TIMES = ("TemporalPositionIdentifier", "AcquisitionNumber", "EchoNumbers", "InstanceNumber")


@dataclass(slots=True)
class Group:
    """Members of one array in C order of its leading axes; `lead` is () for a file of its own."""

    members: list[Instance]
    lead: tuple[int, ...] = ()
    positions: tuple[float, ...] = ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return the names of the leading axes."""
        return ("time", "slice")[-len(self.lead) :] if self.lead else ()


def arrange(instances: list[Instance]) -> list[Group]:
    """Return the groups of all files with readable pixels, in order of their first member's name."""
    alike: dict[Any, list[Instance]] = defaultdict(list)
    apart: list[Group] = []
    for instance in instances:
        pixels = instance.pixels
        if pixels is None or pixels.reason:
            continue
        key = _key(instance)
        if key is None:
            apart.append(Group([instance]))
        else:
            alike[key].append(instance)
    for members in alike.values():
        stacked = _stack(members) if len(members) > 1 else None
        apart += [stacked] if stacked else [Group([member]) for member in members]
    return sorted(apart, key=lambda group: min(member.name for member in group.members))


def _key(instance: Instance) -> Any:
    """Return what slices of one volume share, None for a file that is no slice."""
    pixels, facts = instance.pixels, instance.facts
    position, orientation = facts.get("ImagePositionPatient"), facts.get("ImageOrientationPatient")
    if pixels is None or pixels.layout.frames > 1 or not facts.get("SeriesInstanceUID"):
        return None
    if not _vector(position, 3) or not _vector(orientation, 6) or orientation is None:
        return None
    spacing = facts.get("PixelSpacing")
    return (
        facts["SeriesInstanceUID"],
        pixels.shape,
        pixels.dtype.str,
        pixels.photometric,
        tuple(round(n, 4) for n in orientation),
        tuple(spacing) if isinstance(spacing, list) else spacing,
    )


def _vector(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(isinstance(n, int | float) for n in value)


def position(instance: Instance) -> float:
    """Return where the slice lies along its normal, in mm."""
    a, b = instance.facts["ImageOrientationPatient"][:3], instance.facts["ImageOrientationPatient"][3:]
    normal = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return float(sum(n * p for n, p in zip(normal, instance.facts["ImagePositionPatient"], strict=True)))


def _stack(members: list[Instance]) -> Group | None:
    """Return a volume, or volumes over time; None where the positions do not repeat evenly."""
    placed = sorted(((position(m), _moment(m), m) for m in members), key=lambda item: (item[0], item[1]))
    columns: list[list[Instance]] = []
    places: list[float] = []
    for where, _, member in placed:
        if places and where - places[-1] < _SAME:
            columns[-1].append(member)
        else:
            places.append(where)
            columns.append([member])
    times = len(columns[0])
    if any(len(column) != times for column in columns):
        return None
    columns = [sorted(column, key=_moment) for column in columns]
    ordered = [column[time] for time in range(times) for column in columns]
    lead = (len(columns),) if times == 1 else (times, len(columns))
    return Group(ordered, lead, tuple(places))


def _moment(instance: Instance) -> tuple[Any, ...]:
    numbers = [instance.facts.get(name) for name in _TIMES]
    return (*(n if isinstance(n, int) else 0 for n in numbers), instance.name)


def judge(instances: list[Instance], groups: list[Group], tallies: Tallies) -> None:
    """Count what only the files together show."""
    by_series: dict[Any, tuple[Any, ...]] = {}
    seen: set[Any] = set()
    for instance in instances:
        facts = instance.facts
        series = facts.get("SeriesInstanceUID")
        said = (facts.get("PatientID"), facts.get("StudyInstanceUID"), facts.get("Modality"))
        tallies.add("one-patient", broken=by_series.setdefault(series, said) != said, where=instance.name)
        uid = facts.get("SOPInstanceUID")
        tallies.add("instances-unique", broken=uid in seen, where=instance.name)
        if uid:
            seen.add(uid)
    for group in groups:
        gaps = [b - a for a, b in zip(group.positions, group.positions[1:], strict=False)]
        middle = sorted(gaps)[len(gaps) // 2] if gaps else 0.0
        for number, gap in enumerate(gaps):
            place = f"between slices {number + 1} and {number + 2}"
            uneven = abs(gap - middle) > max(0.01 * middle, 2 * _SAME)
            tallies.add("slice-spacing", broken=uneven, where=place)
            # A gap of two or more whole steps is where slices were.
            steps = round(gap / middle)
            missing = uneven and steps >= 2 and abs(gap - steps * middle) <= max(0.02 * middle, 2 * _SAME)
            tallies.add("slices-missing", broken=missing, where=place)
