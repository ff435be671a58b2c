"""What a column of text cells is, decided over all of its cells, and how its values are spelt again.

A column is a number, a date or a truth value only if every cell comes back by value: `02134`, `+5`,
`1_000`, a 20-digit integer or `2021-02-30` leave it text. NA, NaN, null and ? are missing only where
every other cell is a number or a date; which cell said what is kept.
"""

import re
import zlib
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# The ways a cell says "no value": a bare empty cell, a quoted one, and the words.
BARE, QUOTED = "", '""'
TOKENS = (BARE, QUOTED, "NA", "NaN", "null", "?")
TOKEN_CELLS = pa.array([None, "", "NA", "NaN", "null", "?"], pa.string())
_INFINITIES = ("inf", "Inf", "INF", "Infinity")
_WORDS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
_NUMBER = r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d([T ])\d\d:\d\d(:\d\d(?:\.(\d{1,9}))?)?(Z|\+00:00)?$")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a column's values are written as cells.

    `kind` is "integer", "float", "boolean", "date", "time" or "text". Floats: `decimals` is the
    fixed number of digits after the point (-1: as many as each needs), `whole` what follows a whole
    number ("" or ".0"), `bare_point` whether .5 goes without its zero, `infinity` its word. Booleans:
    `words`. Times: `pattern` is (separator, seconds written, fraction digits, zone).
    """

    kind: str
    decimals: int = -1
    whole: str = ""
    bare_point: bool = False
    infinity: str = "inf"
    words: tuple[str, str] = ("true", "false")
    pattern: tuple[str, bool, int, str] = ("T", True, 0, "")

    def arrow_type(self) -> pa.DataType:
        """Return the Arrow type of the column's values."""
        if self.kind == "time":
            return pa.timestamp(_unit(self.pattern[2]), tz="UTC" if self.pattern[3] else None)
        kinds = {"integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}
        return kinds.get(self.kind, pa.string())


def parse(cells: pa.Array, spelling: Spelling) -> pa.Array:
    """Return the values that cells (null: missing) spell; raise pa.ArrowException where one does not."""
    if spelling.kind == "text":
        return cells
    if spelling.kind == "boolean":
        truth = pc.equal(cells, spelling.words[0])
        if not pc.all(pc.or_(truth, pc.equal(cells, spelling.words[1])), min_count=0).as_py():
            raise pa.ArrowInvalid("a cell is no truth value")
        return truth
    return pc.cast(cells, spelling.arrow_type())


def spell(values: pa.Array, spelling: Spelling) -> pa.Array:
    """Return values as cells of text, null where missing: the inverse of `parse`.

    A float whose fixed decimals would not give it back is written with as many digits as it needs.
    """
    if spelling.kind == "boolean":
        return pc.if_else(values, spelling.words[0], spelling.words[1])
    if spelling.kind == "time":
        return _spell_times(values, spelling)
    if spelling.kind == "float":
        return _spell_floats(values, spelling)
    return pc.cast(values, pa.string())


def _unit(digits: int) -> str:
    return "ms" if digits <= 3 else "us" if digits <= 6 else "ns"


def _spell_times(values: pa.Array, spelling: Spelling) -> pa.Array:
    separator, seconds, digits, zone = spelling.pattern
    naive = values.cast(pa.timestamp(_unit(digits)), safe=False)
    text = pc.utf8_slice_codeunits(pc.cast(naive, pa.string()), 0, 16 if not seconds else 20 + digits if digits else 19)
    if separator != " ":
        text = pc.utf8_replace_slice(text, 10, 11, separator)
    return pc.binary_join_element_wise(text, zone, "") if zone else text


def _spell_floats(values: pa.Array, spelling: Spelling) -> pa.Array:
    text = pc.cast(values, pa.string())
    if spelling.infinity != "inf":
        text = pc.replace_substring_regex(text, "^(-?)inf$", rf"\1{spelling.infinity}")
    if spelling.decimals >= 0:
        return _fixed(values, text, spelling.decimals)
    tiny = pc.less(pc.abs(values), 1e-4)
    small = pc.fill_null(pc.and_(tiny, pc.not_equal(values, 0.0)), False)
    if pc.any(small).as_py():  # Arrow writes 0.00001 and 1e-7 where everyone else writes 1e-05, 1e-07
        text = pc.replace_with_mask(
            text, small, pa.array([repr(v) for v in values.filter(small).to_pylist()], pa.string())
        )
    if spelling.whole:
        plain = pc.invert(pc.match_substring_regex(text, "[.a-zA-Z]"))
        text = pc.if_else(plain, pc.binary_join_element_wise(text, spelling.whole, ""), text)
    if spelling.bare_point:
        text = pc.replace_substring_regex(text, r"^(-?)0\.", r"\1.")
    return text


def _fixed(values: pa.Array, text: pa.Array, decimals: int) -> pa.Array:
    point = pc.find_substring(text, ".")
    length = pc.binary_length(text)
    after = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(length, point), 1))
    missing = pc.max_element_wise(pc.subtract(decimals, after), 0)
    dot = pc.if_else(pc.and_(pc.less(point, 0), decimals > 0), ".", "")
    padded = pc.binary_join_element_wise(text, dot, pc.binary_repeat(pa.scalar("0"), missing), "")
    odd = pc.fill_null(pc.or_(pc.match_substring_regex(text, "[a-zA-Z]"), pc.greater(after, decimals)), False)
    if not pc.any(odd).as_py():
        return padded
    spelt = zip(values.filter(odd).to_pylist(), text.filter(odd).to_pylist(), strict=True)
    exact = [_fixed_or_exact(value, decimals) if isfinite(value) else cell for value, cell in spelt]
    return pc.replace_with_mask(padded, odd, pa.array(exact, pa.string()))


def _fixed_or_exact(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text if float(text) == value else repr(value)


@dataclass
class ColumnFinder:
    """Watch one column's cells go by, batch after batch, and decide what it is."""

    kind: str = ""  # "" until a cell is seen that is not missing
    tokens: set[int] = field(default_factory=set)
    codes: Any = None  # zlib compressor of one byte a missing cell: the index of its token
    pieces: list[bytes] = field(default_factory=list)
    alike: int = 0  # missing cells before the second token appeared
    words: tuple[str, str] = ("true", "false")
    pattern: tuple[str, bool, int, str] = ("T", True, 0, "")
    largest: int = 0  # integer seen, its sign aside
    fewest: int = 1 << 30  # digits after the point
    most: int = 0
    exponents: bool = False
    whole_bare: int = 0
    whole_dotted: int = 0
    point_bare: int = 0
    point_zero: int = 0
    infinity: str = ""

    def take(self, cells: pa.Array) -> None:
        """Look at the next cells (null: bare empty)."""
        if self.kind == "text":
            self._take_empties(cells)
            return
        index = pc.index_in(cells, TOKEN_CELLS)
        found = pc.drop_null(index)
        values = cells
        if len(found):
            self.take_tokens(found.to_numpy(zero_copy_only=False).astype(np.uint8))
            values = cells.filter(pc.is_null(index))
        if len(values):
            self._take_values(values)
        if self.kind == "boolean" and self.tokens - {0, 1}:
            self.kind = "text"
        if self.kind == "text":
            self.codes, self.pieces, self.alike = None, [], 0

    def guess(self, cells: pa.Array) -> None:
        """Say what the first of the cells that is not missing looks like, if it stands near the top."""
        for cell in cells.slice(0, 50).to_pylist():
            if cell and cell not in TOKENS:
                self.kind = self._first_guess(cell)
                return

    def take_tokens(self, codes: "np.ndarray[Any, Any]") -> None:
        """Note how the next missing cells were written; nothing is kept while all say the same."""
        if not len(codes):
            return
        first = next(iter(self.tokens), None)
        self.tokens.update(np.unique(codes).tolist())
        if self.codes is None and len(self.tokens) > 1:
            self.codes = zlib.compressobj(6, zlib.DEFLATED, 12, 3)  # 20 KiB: there may be thousands of columns
            while self.alike:
                run = min(self.alike, 1 << 20)
                self.pieces.append(self.codes.compress(bytes([first or 0]) * run))
                self.alike -= run
        if self.codes is None:
            self.alike += len(codes)
        else:
            self.pieces.append(self.codes.compress(codes.tobytes()))

    def spelling(self) -> Spelling:
        """Return what the column is, after its last cell."""
        if self.kind != "float":
            return Spelling(self.kind or "text", words=self.words, pattern=self.pattern)
        fixed = self.fewest == self.most and self.most > 0 and not self.exponents and not self.point_bare
        return Spelling(
            "float",
            decimals=self.most if fixed else -1,
            infinity=self.infinity or "inf",
            whole=".0" if self.whole_dotted > self.whole_bare else "",
            bare_point=self.point_bare > self.point_zero,
        )

    def missing(self) -> tuple[int, ...]:
        """Return which of TOKENS mean "no value" in this column."""
        if self.kind == "text":
            empties = self.tokens & {0, 1}
            return tuple(sorted(empties)) if len(empties) == 1 else (0,)
        return tuple(sorted(self.tokens))

    def token_codes(self) -> bytes:
        """Return zlib's stream of one byte a missing cell; b"" where all say the same."""
        if len(self.missing()) < 2 or self.codes is None:
            return b""
        return b"".join([*self.pieces, self.codes.flush()])

    def _take_empties(self, cells: pa.Array) -> None:
        if cells.null_count:
            self.tokens.add(0)
        if 1 not in self.tokens and pc.any(pc.equal(cells, "")).as_py():
            self.tokens.add(1)

    def _take_values(self, values: pa.Array) -> None:
        if not self.kind:
            self.kind = self._first_guess(values[0].as_py())
        if self.kind == "integer" and not self._is_integer(values):
            self.kind = "float" if self.largest < 10**15 else "text"  # a double may lose longer integers
        if self.kind == "float" and not self._is_float(values):
            self.kind = "text"
        if self.kind in ("date", "time", "boolean") and not self._comes_back(values):
            self.kind = "text"

    def _first_guess(self, cell: str) -> str:
        for words in _WORDS:
            if cell in words:
                self.words = words
                return "boolean"
        if re.fullmatch(r"\d{4}-\d\d-\d\d", cell):
            return "date"
        stamp = _STAMP.match(cell)
        if stamp:
            separator, seconds, fraction, zone = stamp.groups()
            self.pattern = (separator, bool(seconds), len(fraction or ""), zone or "")
            return "time"
        if re.fullmatch(r"-?\d+", cell):
            return "integer"
        return "float" if re.match(_NUMBER, cell) or cell.lstrip("-") in _INFINITIES else "text"

    def _comes_back(self, values: pa.Array) -> bool:
        spelling = Spelling(self.kind, words=self.words, pattern=self.pattern)
        try:
            return _same(spell(parse(values, spelling), spelling), values)
        except pa.ArrowException:
            return False

    def _is_integer(self, values: pa.Array) -> bool:
        try:
            numbers = pc.cast(values, pa.int64())
        except pa.ArrowException:
            return False
        if not _same(pc.cast(numbers, pa.string()), values):
            return False
        ends = pc.min_max(numbers).as_py()
        self.note_integers(ends["min"], ends["max"], len(values))
        return True

    def note_integers(self, low: int, high: int, count: int) -> None:
        """Note the extremes and the number of the next integers."""
        self.largest = max(self.largest, abs(low), abs(high))
        self.whole_bare += count
        self.fewest = 0

    def _is_float(self, values: pa.Array) -> bool:
        try:
            numbers = pc.cast(values, pa.float64())
        except pa.ArrowException:
            return False
        finite = pc.is_finite(numbers)
        if not pc.all(finite).as_py():
            words = pc.unique(pc.replace_substring_regex(values.filter(pc.invert(finite)), "^-", "")).to_pylist()
            self.infinity = self.infinity or words[0]
            if words != [self.infinity] or self.infinity not in _INFINITIES:
                return False
            values, numbers = values.filter(finite), numbers.filter(finite)
        different = pc.not_equal(pc.cast(numbers, pa.string()), values)
        if pc.any(different).as_py() and not all_come_back(values.filter(different), numbers.filter(different)):
            return False
        if len(values):
            self._see_style(values)
        return True

    def _see_style(self, values: pa.Array) -> None:
        point = pc.find_substring(values, ".")
        has_point = pc.greater_equal(point, 0)
        lettered = pc.match_substring_regex(values, "[a-zA-Z]")
        after = pc.if_else(has_point, pc.subtract(pc.subtract(pc.binary_length(values), point), 1), 0)
        ends = pc.min_max(after).as_py()
        counted = (
            pc.invert(pc.or_(has_point, lettered)),
            pc.ends_with(values, ".0"),
            pc.match_substring_regex(values, r"^-?\."),
            pc.match_substring_regex(values, r"^-?0\."),
        )
        counts = [pc.sum(cells).as_py() or 0 for cells in counted]
        self.note_style((ends["min"], ends["max"]), pc.any(lettered).as_py(), *counts)

    def note_style(
        self, digits: tuple[int, int], letters: bool, bare: int, dotted: int, point_bare: int, point_zero: int
    ) -> None:
        """Note how the next floats are spelt: digits behind the point, exponents, and counts of cells."""
        self.fewest, self.most = min(self.fewest, digits[0]), max(self.most, digits[1])
        self.exponents = self.exponents or letters
        self.whole_bare += bare
        self.whole_dotted += dotted
        self.point_bare += point_bare
        self.point_zero += point_zero


def _same(a: pa.Array, b: pa.Array) -> bool:
    return bool(a.equals(b)) or bool(pc.all(pc.equal(a, b), min_count=0).as_py())


def all_come_back(cells: pa.Array, numbers: pa.Array) -> bool:
    """Tell whether decimal cells that are not spelt Arrow's way still mean exactly their number."""
    if not pc.all(pc.match_substring_regex(cells, _NUMBER)).as_py():
        return False
    digits = pc.utf8_length(pc.replace_substring_regex(cells, r"^[-0.]*|[.]|[eE].*$", ""))
    for cell, number in zip(
        cells.filter(pc.greater(digits, 15)).to_pylist(),
        numbers.filter(pc.greater(digits, 15)).to_pylist(),
        strict=True,
    ):
        if not _digits_come_back(cell, number):
            return False
    zero = cells.filter(pc.equal(numbers, 0.0))
    return not len(zero) or not pc.any(pc.match_substring_regex(zero, r"^-?[0-9.]*[1-9]")).as_py()


def _digits_come_back(cell: str, number: float) -> bool:
    """Tell whether a number of many digits, rounded to as many digits, gives the same digits again."""
    mantissa = re.sub(r"[eE].*$", "", cell).lstrip("-")
    if "." not in mantissa and "e" not in cell.lower():
        return False  # an integer this long may have lost its last digits
    digits = mantissa.replace(".", "").lstrip("0")
    return f"{abs(number):.{max(0, len(digits) - 1)}e}".split("e")[0].replace(".", "") == digits


# What a number looks like to the header rule: a row that holds one is data.
def is_number(cell: str) -> bool:
    """Tell whether a cell of the first row says that the table has no header."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and cell.strip().lower().lstrip("+-") not in ("nan", "inf", "infinity")
