"""A package open for reading: its facts, its decoded values, its carried bytes.

Chunks are read by our own shard reader, each decoded alone; nothing larger than a box and a chunk is
held. Plaintext of a sealed package is given as a folder of its own.
"""

import json
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import CustomerError
from ..model.dataset import TEXT, ArrayField, Dataset
from ..model.facts import from_record
from ..model.sample import ChunkGrid
from ..ports import Box
from .carried import read_carried
from .layout import ARRAYS, CARRIED, PLAN, TABLES
from .tables import open_table

if TYPE_CHECKING:
    from .stored import StoredArray

FACTS = f"{CARRIED}/dataset.json"


class OpenedPackage:
    """The RestoreSource of a package's plaintext folder."""

    def __init__(self, folder: Path) -> None:
        """Read the facts and the plan.

        Raise CustomerError (not-verified) where they cannot be read: verify names the damage.
        """
        self.folder = folder
        try:
            self.facts = json.loads((folder / FACTS).read_text("utf-8", errors="surrogatepass"))
            self.plan = json.loads((folder / PLAN).read_bytes())
        except (OSError, ValueError) as error:
            raise CustomerError(
                "its facts or its plan cannot be read",
                code="not-verified",
                where=folder.name,
                remedy="cdt verify names the damaged file",
            ) from error

    @cached_property
    def dataset(self) -> Dataset:
        """The facts the decoder gave."""
        schemas = {}
        for name, stem in self.facts["tables"].items():
            with open_table(self._table_path(stem)) as file:
                schemas[name] = file.schema_arrow
        return from_record(self.facts, schemas)

    def _table_path(self, stem: str) -> Path:
        return self.folder / TABLES / f"{stem}.parquet"

    @lru_cache(maxsize=64)  # noqa: B019  a package is opened once a command
    def array(self, name: str) -> "StoredArray":
        """Return one array's stored chunks; its code loads compiled kernels, which tables need not."""
        from .stored import StoredArray, form_of

        entry = next(item for item in self.plan["fields"] if item["field"] == name)
        field = self.dataset.field(name)
        assert isinstance(field, ArrayField)
        grid = ChunkGrid(field.shape, tuple(entry["chunk"]), tuple(entry["shard"]))
        form = form_of(entry["encoding"], field.fill)
        return StoredArray(self.folder, self.facts["nodes"][name], grid, form, entry["encoding"]["codec"], field)

    def missing_mask(self, name: str) -> "StoredArray | None":
        """Return the mask of a text array's missing values, None where none is missing."""
        node = f"{self.facts['nodes'][name]}__missing"
        if not (self.folder / ARRAYS / node).is_dir():
            return None
        from ..codecs.bounded import EXACT
        from .stored import StoredArray

        text = self.array(name)
        entry = next(item for item in self.plan["fields"] if item["field"] == name)
        field = ArrayField(f"{name}__missing", text.grid.shape, "bool")
        return StoredArray(self.folder, node, text.grid, EXACT, entry["encoding"]["codec"], field)

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return decoded values of a box in the source's dtype; text as str objects, None where missing."""
        from ..codecs.bounded import restored

        stored = self.array(name)
        mask = self.missing_mask(name) if stored.field.dtype == TEXT else None
        out = np.empty([part.stop - part.start for part in box], stored.field.numpy_dtype())
        for shard, inner in stored.grid.boxes_within(box):
            for place, chunk_box in inner:
                values = restored(stored.values(shard, place, chunk_box), stored.form, stored.field.numpy_dtype())
                if mask is not None:
                    values = values.copy()
                    values[mask.values(shard, place, chunk_box)] = None
                source, target = _overlap(chunk_box, box)
                out[target] = values[source]
        return out

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield a table's rows, a row group at a time."""
        with open_table(self._table_path(self.facts["tables"][name])) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                yield from table.combine_chunks().to_batches()

    def carried(self, name: str) -> bytes:
        """Return a carried item whole; raise KeyError."""
        path, compressed = self.facts["stored"][name]
        return read_carried((self.folder / path).read_bytes(), compressed=compressed)

    def close(self) -> None:
        """Close what is open."""
        self.array.cache_clear()


def _overlap(chunk: Box, box: Box) -> tuple[Box, Box]:
    source, target = [], []
    for c, b in zip(chunk, box, strict=True):
        start, stop = max(c.start, b.start), min(c.stop, b.stop)
        source.append(slice(start - c.start, stop - c.start))
        target.append(slice(start - b.start, stop - b.start))
    return tuple(source), tuple(target)
