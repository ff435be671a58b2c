"""Header cards of 80 bytes and what they say (FITS Standard 4.0, section 4; CONTINUE and HIERARCH too)."""

import re
from dataclasses import dataclass
from typing import Any

CARD = 80
BLOCK = 2880
_COMMENTARY = ("COMMENT", "HISTORY", "")
_KEYWORD = re.compile(rb"[A-Z0-9_-]{0,8} *")
_STRING = re.compile(rb"'((?:[^']|'')*)'")
_REAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?")
_COMPLEX = re.compile(rb"\(([^,()]*),([^,()]*)\)")


@dataclass(frozen=True, slots=True)
class Card:
    """One card: keyword, value (None where it has none), comment, and what is wrong with it, if anything."""

    keyword: str
    value: Any = None
    comment: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """The cards of one header in order (END left out), its bytes, padding included, and its first values."""

    cards: tuple[Card, ...]
    text: bytes
    values: dict[str, Any]

    def integer(self, keyword: str, default: int | None = None) -> int | None:
        """Return an integer value, the default where the card is missing or holds anything else."""
        value = self.values.get(keyword, default)
        return value if type(value) is int else default

    def number(self, keyword: str, default: float) -> float:
        """Return a number, the default where the card is missing or holds anything else."""
        value: Any = self.values.get(keyword)
        return value if type(value) in (int, float) else default

    def string(self, keyword: str) -> str:
        """Return a string value without trailing spaces, "" where there is none."""
        value = self.values.get(keyword)
        return value.rstrip() if isinstance(value, str) else ""

    def comment(self, keyword: str) -> str:
        """Return the comment of a keyword's first card, "" where there is none."""
        return next((card.comment for card in self.cards if card.keyword == keyword), "")


def read_header(text: bytes) -> Header:
    """Return the header that these whole blocks hold."""
    cards: list[Card] = []
    values: dict[str, Any] = {}
    for at in range(0, len(text), CARD):
        line = text[at : at + CARD]
        if line[:8].rstrip() == b"END":
            if line[3:].strip():
                cards.append(Card("END", problem="END card holds more than END"))
            break
        card = parse_card(line)
        if card.keyword == "CONTINUE" and cards and isinstance(card.value, str):
            card = _continue(cards, values, card)
        cards.append(card)
        if card.value is not None:
            values.setdefault(card.keyword, card.value)
    return Header(tuple(cards), text, values)


def _continue(cards: list[Card], values: dict[str, Any], card: Card) -> Card:
    """Join a CONTINUE card to the string before it, and return what stays as its own card."""
    for at in range(len(cards) - 1, -1, -1):
        before = cards[at]
        if before.keyword == "CONTINUE" and before.value is None:
            continue
        if isinstance(before.value, str) and before.value.endswith("&"):
            joined = before.value[:-1] + card.value
            cards[at] = Card(before.keyword, joined, before.comment + card.comment, before.problem)
            if values.get(before.keyword) == before.value:
                values[before.keyword] = joined
            return Card("CONTINUE", None, "", card.problem)
        break
    return Card("CONTINUE", None, card.comment, "CONTINUE follows no unfinished string")


def parse_card(line: bytes) -> Card:
    """Return what one card of 80 bytes says."""
    problem = ""
    if any(byte < 32 or byte > 126 for byte in line):
        problem = "a byte outside printable ASCII"
    name = line[:8]
    if not _KEYWORD.fullmatch(name) or len(line) < CARD:
        problem = problem or "a keyword outside A-Z 0-9 - _"
    keyword = name.decode("latin-1").rstrip()
    if keyword == "HIERARCH" and b"=" in line:
        left, _, right = line[8:].partition(b"=")
        keyword = "HIERARCH " + left.decode("latin-1").strip()
        return _valued(keyword, right, problem)
    if keyword in _COMMENTARY or (line[8:10] != b"= " and keyword != "CONTINUE"):
        if line[8:9] == b"=" and keyword not in _COMMENTARY:
            problem = problem or "no space follows the value indicator"
        return Card(keyword, None, line[8:].decode("latin-1").rstrip(), problem)
    return _valued(keyword, line[10:] if keyword != "CONTINUE" else line[8:], problem)


def _valued(keyword: str, field: bytes, problem: str) -> Card:
    body = field.strip(b" ")
    quoted = _STRING.match(body)
    if quoted:
        value: Any = quoted.group(1).replace(b"''", b"'").decode("latin-1").rstrip(" ")
        rest = body[quoted.end() :].strip()
        if rest and not rest.startswith(b"/"):
            problem = problem or "text follows a string without a slash"
        return Card(keyword, value, rest.lstrip(b"/ ").decode("latin-1"), problem)
    if body.startswith(b"'"):
        return Card(keyword, None, "", problem or "a string that is not closed")
    written, _, comment = body.partition(b"/")
    value, readable = parse_value(written.strip())
    return Card(
        keyword,
        value,
        comment.decode("latin-1").strip(),
        problem or ("" if readable else "an unreadable value"),
    )


def parse_value(written: bytes) -> tuple[Any, bool]:
    """Return an unquoted value and whether it could be read; (None, True) for an undefined one."""
    if not written:
        return None, True
    if written in (b"T", b"F"):
        return written == b"T", True
    pair = _COMPLEX.fullmatch(written)
    if pair:
        parts = [parse_value(part.strip())[0] for part in pair.groups()]
        if all(type(part) in (int, float) for part in parts):
            return complex(parts[0], parts[1]), True
        return None, False
    if not _REAL.fullmatch(written):
        return None, False
    if re.fullmatch(rb"[+-]?\d{1,4000}", written):
        return int(written), True
    return float(written.replace(b"D", b"E")), True
