"""Stand-ins for a treated package: what a writer sees, straight from a decoder."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from customer_data_treatment.model.dataset import Dataset
from customer_data_treatment.ports import Box, Decoder


class DirectPackage:
    """A RestoreSource whose values are the decoder's own: what a lossless package would give."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    @property
    def dataset(self) -> Dataset:
        return self._decoder.dataset

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        return self._decoder.read(name, box)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        return self._decoder.batches(name)

    def carried(self, name: str) -> bytes:
        if name not in {item.name for item in self.dataset.carried}:
            raise KeyError(name)
        return b"".join(self._decoder.carried(name))
