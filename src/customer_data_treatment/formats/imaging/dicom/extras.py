"""Overlays and waveforms: the arrays of a DICOM file besides its pixels (PS3.3, C.9.2, C.10.9)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....model.dataset import ArrayField
from ....ports import Box
from ....vocabulary import Role
from ...containers import raw
from . import frames
from .frames import Layout
from .instance import Instance
from .values import Reader
from .walk import Bytes, Element

_WAVEFORMS = 0x54000100
_CHANNELS, _DATA = 0x003A0200, 0x54001010
_KINDS = {"SB": "i1", "UB": "u1", "MB": "u1", "AB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_WIDE = {"SV": "i8", "UV": "u8"}


@dataclass(slots=True)
class Extra:
    """One such array: its field, where its bytes lie, and how to read a box of it."""

    field: ArrayField
    element: Element
    layout: Layout
    waveform: bool

    def read(self, instance: Instance, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box."""
        with instance.open() as file:
            if self.waveform:
                shape = (self.layout.rows, self.layout.columns)
                values = raw.read_box(
                    file.fileno(),
                    self.element.value,
                    shape,
                    np.dtype(self.layout.kind),
                    box[::-1],
                    where=instance.name,
                )
                return np.ascontiguousarray(values.T)
            out = []
            lead = box[0] if len(self.field.shape) == 3 else slice(0, 1)
            for index in range(lead.start, lead.stop):
                first, length = frames.frame_span(self.layout, index)
                file.seek(self.element.value + first)
                out.append(frames.unpack(self.layout, index, file.read(length))[..., 0][box[-2:]])
        return np.array(out, dtype=bool).reshape(tuple(part.stop - part.start for part in box))


def overlays(instance: Instance, prefix: str) -> Iterator[Extra]:
    """Yield each overlay plane (60xx) that has its own bits; the bits are carried too, with the header."""
    for tag, element in instance.top.items():
        if tag >> 16 & 0xFF01 != 0x6000 or tag & 0xFFFF != 0x3000 or tag >> 24 != 0x60:
            continue
        if element.vr == "OW" and not instance.encoding.little:
            continue
        group = tag & 0xFFFF0000
        with instance.open() as file:
            reader = Reader(Bytes(file, instance.name), little=instance.encoding.little)
            numbers = [
                (reader.numbers(instance.top[group | at]) or [0])[0] if group | at in instance.top else default
                for at, default in ((0x10, 0), (0x11, 0), (0x15, 1))
            ]
        rows, columns, count = (int(n) for n in numbers)
        count = max(1, count)
        layout = Layout(count, rows, columns, 1, "u1", packed=True)
        fits = rows > 0 and columns > 0 and 0 <= element.length - layout.length <= 1
        instance.tallies.add("overlay-length", broken=not fits, where=f"group {tag >> 16:04X}")
        if not fits:
            continue
        shape: tuple[int, ...] = (rows, columns) if count == 1 else (count, rows, columns)
        yield Extra(
            ArrayField(
                name=f"{prefix}overlay_{tag >> 16:04X}",
                shape=shape,
                dtype="bool",
                dimensions=_named(f"overlay_{tag >> 16:04X}", ("row", "column"), count, instance, shape),
                role=Role.MASK,
            ),
            element,
            layout,
            waveform=False,
        )


def _named(
    name: str, axes: tuple[str, str], count: int, instance: Instance, shape: tuple[int, ...]
) -> tuple[str | None, ...]:
    """Return an overlay's dimensions: the image's own where it covers the image, else under its own name."""
    pixels = instance.pixels
    same = pixels is not None and (pixels.layout.rows, pixels.layout.columns) == shape[-2:]
    own = axes if same else tuple(f"{name}_{axis}" for axis in axes)
    return own if count == 1 else (f"{name}_frame", *own)


def waveforms(instance: Instance, prefix: str) -> Iterator[Extra]:
    """Yield each multiplex group as channels x samples, stored numbers; equal channel scales become the scale."""
    numbers = sorted({path[1] for path in instance.nested if path[0] == _WAVEFORMS and len(path) == 3})
    with instance.open() as file:
        reader = Reader(Bytes(file, instance.name), little=instance.encoding.little)
        for number in numbers:
            found = _waveform(instance, reader, number, prefix)
            if found is not None:
                yield found


def _waveform(instance: Instance, reader: Reader, number: int, prefix: str) -> Extra | None:
    def of(tag: int) -> Any:
        element = instance.nested.get((_WAVEFORMS, number, tag))
        if element is None:
            return None
        numeric = element.vr in ("US", "UL", "DS", "IS")
        values = reader.numbers(element) if numeric else reader.strings(element)[0]
        return values[0] if values else None

    data = instance.nested.get((_WAVEFORMS, number, _DATA))
    channels, samples, rate, word = of(0x003A0005), of(0x003A0010), of(0x003A001A), of(0x54001006)
    kind = {**_KINDS, **_WIDE}.get(str(word))
    good = data is not None and isinstance(channels, int) and isinstance(samples, int) and kind is not None
    if not good or data is None or kind is None:
        instance.tallies.add("waveform-length", broken=True, where=f"waveform {number}")
        return None
    kind = kind if kind.endswith("1") else ("<" if instance.encoding.little else ">") + kind
    layout = Layout(1, samples, channels, 1, kind)
    swapped = kind.endswith("1") and data.vr == "OW" and not instance.encoding.little
    fits = channels > 0 and samples > 0 and 0 <= data.length - layout.length <= 1 and not swapped
    instance.tallies.add("waveform-length", broken=not fits, where=f"waveform {number}")
    if not fits:
        return None
    scale, units, attributes = _channels(instance, reader, number, channels)
    if rate is not None:
        attributes["sampling_frequency"] = rate
    if word in ("MB", "AB"):
        attributes["companding"] = "mu-law" if word == "MB" else "A-law"
    field = ArrayField(
        name=f"{prefix}waveform_{number}",
        shape=(channels, samples),
        dtype=np.dtype(kind).newbyteorder("=").name,
        dimensions=(f"waveform_{number}_channel", f"waveform_{number}_sample"),
        role=Role.MEASUREMENT,
        units=units,
        attributes=attributes,
        scale=scale,
        required=True,
    )
    return Extra(field, data, layout, waveform=True)


def _channels(
    instance: Instance, reader: Reader, number: int, count: int
) -> tuple[tuple[float, float] | None, str | None, dict[str, Any]]:
    """Return scale and units, where all channels share them, and what each channel says."""
    start = (_WAVEFORMS, number, _CHANNELS)

    def of(item: int, *tags: int) -> Any:
        element = instance.nested.get((*start, item, *tags))
        if element is None:
            return None
        found = reader.numbers(element) if element.vr == "DS" else reader.strings(element)[0]
        return found[0] if found else None

    items = range(1, count + 1)
    factors = [(of(i, 0x003A0210), of(i, 0x003A0212), of(i, 0x003A0213)) for i in items]
    scales = [(float(s) * float(1 if c is None else c), float(b or 0)) for s, c, b in factors if s is not None]
    units = [of(i, 0x003A0211, 1, 0x00080100) for i in items]
    labels = [of(i, 0x003A0208, 1, 0x00080104) or of(i, 0x003A0203) or "" for i in items]
    attributes: dict[str, Any] = {"channels": labels} if any(labels) else {}
    scale = scales[0] if len(scales) == count and len(set(scales)) == 1 else None
    if scale is None and scales:
        attributes["channel_scales"] = [list(pair) for pair in scales]
    same = units[0] if len(set(units)) == 1 else None
    return (None if scale == (1.0, 0.0) else scale), same, attributes
