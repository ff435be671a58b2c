"""What MATLAB 7.3 files promise of their objects: each points at an entry of the object table.

A variable of a class (datetime, table, string …) holds six or more uint32: the mark 0xdd000000, the
number of dimensions, the dimensions, one object number an element, the class number. The numbers
count into tables in #subsystem#/MCOS (a FileWrapper__), whose first cell is a byte block: version,
number of names, eight offsets; classes lie between offsets 0 and 1, objects between 2 and 3.
Layout as MAT.jl and mat-io document it; MathWorks publishes none.
"""

from typing import Any

import numpy as np

from ...model.dataset import RuleCount
from ...vocabulary import Dimension, RuleKind
from .hdf5 import Tree

_MARK = 0xDD000000
_CLASS_BYTES, _OBJECT_BYTES = 16, 24
_MOST = 1 << 20


def rules(tree: Tree) -> tuple[RuleCount, ...]:
    """Return how many object variables point outside the object table; nothing without such variables."""
    pointers = list(_pointers(tree))
    if not pointers:
        return ()
    classes, objects = _table(tree)
    broken = []
    for name, words in pointers:
        wanted = _numbers(words)
        if wanted is None or not 1 <= wanted[1] <= classes or any(not 1 <= n <= objects for n in wanted[0]):
            broken.append(name)
    return (
        RuleCount(
            name="matlab-object-exists",
            dimension=Dimension.CONSISTENCY,
            kind=RuleKind.STRUCTURAL,
            scope=len(pointers),
            examined=len(pointers),
            violations=len(broken),
            message=f"MATLAB object variables point outside the file's table of {objects} object(s)",
            where=tuple(broken[:5]),
        ),
    )


def _pointers(tree: Tree) -> "list[tuple[str, np.ndarray[Any, Any]]]":
    found = []
    for entry in tree.of("dataset"):
        dataset = tree.dataset(entry)
        if "MATLAB_object_decode" not in dataset.attrs or dataset.dtype != np.uint32 or dataset.size > _MOST:
            continue
        words = dataset[()].reshape(-1)
        if len(words) and int(words[0]) == _MARK:
            found.append((entry.name, words))
    return found


def _numbers(words: "np.ndarray[Any, Any]") -> tuple[list[int], int] | None:
    """Return (object numbers, class number) of a variable, None where the words do not add up."""
    values = [int(word) for word in words]
    if len(values) < 4:
        return None
    rank = values[1]
    shape = values[2 : 2 + rank]
    count = 1
    for length in shape:
        count *= length
    if len(values) != 2 + rank + count + 1:
        return None
    return values[2 + rank : -1], values[-1]


def _table(tree: Tree) -> tuple[int, int]:
    """Return (classes, objects) that the byte block lists; (0, 0) where it cannot be read."""
    try:
        cells = tree.file["#subsystem#/MCOS"]
        block = tree.file[cells[()].reshape(-1)[0]][()].astype(np.uint8).tobytes()
        offsets = np.frombuffer(block[8:40], "<u4")
    except Exception:
        return 0, 0
    if len(offsets) < 8:
        return 0, 0
    first, _, start, end = (int(n) for n in offsets[:4])
    classes = max(0, (int(offsets[1]) - first) // _CLASS_BYTES - 1)
    objects = max(0, (end - start) // _OBJECT_BYTES - 1)
    return classes, objects
