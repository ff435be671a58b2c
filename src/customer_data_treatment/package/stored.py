"""The chunks of one array as they lie in a package, each decoded alone."""

from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import VLenUTF8

from ..algorithms.quantise import Grid
from ..codecs import CODECS
from ..codecs.bounded import Form
from ..model.dataset import TEXT, ArrayField
from ..model.sample import ChunkGrid
from ..plugin import CodecCode, load
from ..ports import Box
from .layout import ARRAYS
from .shards import ShardReader


class StoredArray:
    """The chunks of one array as they lie in the package."""

    def __init__(self, folder: Path, node: str, grid: ChunkGrid, form: Form, codec: str, field: ArrayField) -> None:
        self._folder = folder / ARRAYS / node
        self.grid, self.form, self.field = grid, form, field
        self._code: CodecCode = load(CODECS, codec)
        per = [s // c for s, c in zip(grid.shard, grid.chunk, strict=True)]
        self._places = int(np.prod(per, dtype=np.int64)) if per else 1
        self._shard: tuple[tuple[int, ...], ShardReader] | None = None
        text = field.dtype == TEXT
        self.dtype = np.dtype(object) if text else form.stored_dtype(field.numpy_dtype())

    def chunk(self, shard: tuple[int, ...], place: int) -> "np.ndarray[Any, Any]":
        """Return a whole stored chunk, padding included; text comes as its encoded bytes.

        Raise ValueError where it does not decode, OSError where its file is not there.
        """
        frame = self._frame(shard, place)
        if self.field.dtype == TEXT:
            raw = np.empty(int.from_bytes(frame[4:8], "little"), np.uint8)
            self._code.decode(frame, raw)
            return raw
        out = np.empty(self.grid.chunk, self.dtype)
        self._code.decode(frame, out)
        return out

    def _frame(self, shard: tuple[int, ...], place: int) -> bytes:
        if not self.grid.shape:
            return (self._folder / "c").read_bytes()
        if self._shard is None or self._shard[0] != shard:
            self.close()
            path = self._folder.joinpath("c", *map(str, shard))
            self._shard = (shard, ShardReader(path, self._places))
        return self._shard[1].frame(place)

    def values(self, shard: tuple[int, ...], place: int, box: Box) -> "np.ndarray[Any, Any]":
        """Return the stored values of one chunk's box, without padding."""
        chunk = self.chunk(shard, place)
        if self.field.dtype == TEXT:
            chunk = VLenUTF8().decode(chunk).reshape(self.grid.chunk)
        inside = tuple(slice(0, part.stop - part.start) for part in box)
        return np.ascontiguousarray(chunk[inside]) if inside else chunk.reshape(())

    def close(self) -> None:
        """Close the shard that is open."""
        if self._shard is not None:
            self._shard[1].close()
            self._shard = None


def form_of(encoding: dict[str, Any], fill: Any) -> Form:
    """Return the form that a plan's encoding names."""
    if encoding["form"] == "packed":
        step = float(encoding["scale_factor"])
        origin = round(float(encoding["add_offset"]) / step)
        hole = float(fill) if encoding["missing"] == "fill" else None
        return Form("packed", encoding["bound"], grid=Grid(encoding["dtype"], step, origin, hole))
    if encoding["form"] == "rounded":
        return Form("rounded", encoding["bound"], step=float(encoding["step"]))
    return Form()
