"""Pictures as markup: inline SVG that follows the page's colours, and PNG for pixels.

Coordinates are cut to a tenth of a pixel, so that the page's bytes do not hang on a last digit.
"""

import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from .pictures import CategoryPicture, FieldPicture, Histogram, Line, Plane
from .wording import number, percent, plural

_WIDTH, _HEIGHT = 320, 132
_LEFT, _RIGHT, _TOP, _FLOOR = 4, 4, 8, 108  # the plot's edges; the axis' words stand below the floor

# Anchors of the colour scales, interpolated in integers. The first is near viridis, made for even
# steps in lightness; errors run from the palest to the darkest.
_SCALES = {
    "colour": ((68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
               (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37)),
    "grey": ((0, 0, 0), (255, 255, 255)),
    "error": ((250, 247, 240), (253, 208, 162), (241, 126, 60), (178, 50, 20), (70, 10, 10)),
}  # fmt: skip


def vouched(text: str) -> Markup:
    """Return text as markup that the page takes as it stands: its parts were made or escaped here."""
    return Markup(text)  # noqa: S704 - the one place that vouches


def png(plane: Plane, scale: str = "colour") -> str:
    """Return a thumbnail as a PNG data URI; level 0 is transparent.

    The pixels are stored uncompressed (deflate's stored blocks): what a zlib writes differs between
    its builds, these bytes do not.
    """
    palette = _palette(_SCALES[scale])
    stride = plane.width
    rows = b"".join(b"\0" + plane.pixels[at : at + stride] for at in range(0, len(plane.pixels), stride))
    body = b"\x78\x01"
    pieces = [rows[at : at + 65535] for at in range(0, len(rows), 65535)] or [b""]
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        body += struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece
    body += struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", plane.width, plane.height, 8, 3, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in (
            (b"IHDR", header), (b"PLTE", palette), (b"tRNS", b"\0"), (b"IDAT", body), (b"IEND", b""),
        )
    )  # fmt: skip
    return "data:image/png;base64," + b64encode(data).decode("ascii")


def distribution(picture: FieldPicture, units: str) -> str:
    """Return the histogram before (area) and after (line) on shared edges."""
    if picture.before is None:
        return ""
    histogram, after = picture.before, picture.after
    top = max(1, *histogram.counts, *(after.counts if after else ()))
    outside = histogram.below + histogram.above
    title = (
        f"Distribution of {plural(picture.finite, 'sampled value')}, from {number(histogram.low)} to "
        f"{number(histogram.high)} {units}".rstrip()
        + (f"; {plural(outside, 'value')} beyond the drawn range" if outside else "")
    )
    shapes = f'<path class="area" d="{_steps(histogram, top)}Z"/>'
    if after:
        shapes += f'<path class="line" d="{_steps(after, top, closed=False)}"/>'
    return _svg(title, shapes + _axis(_tick(histogram.low), _tick(histogram.high), units))


def error_distribution(picture: FieldPicture, units: str) -> str:
    """Return the histogram of decoded - original between -bound and +bound."""
    histogram = picture.errors
    if histogram is None:
        return ""
    top = max(1, *histogram.counts)
    between = f"between {number(histogram.low, 3)} and {number(histogram.high, 3)} {units}"
    title = f"Distribution of the error, decoded minus original, {between}"
    middle = _x(len(histogram.counts) / 2, len(histogram.counts))
    shapes = (
        f'<path class="area error" d="{_steps(histogram, top)}Z"/>'
        f'<path class="rule" d="M{middle} {_TOP}V{_FLOOR}"/>'
        f'<path class="edge" d="M{_LEFT} {_TOP}V{_FLOOR}M{_WIDTH - _RIGHT} {_TOP}V{_FLOOR}"/>'
    )
    word = "bound" if picture.bound else "largest"
    low, high = f"{_tick(histogram.low)} (-{word})", f"{_tick(histogram.high)} ({word})"
    return _svg(title.rstrip(), shapes + _axis(low, high, "0"))


def series(lines: Sequence[Line], units: str) -> str:
    """Return a series' envelope before (band) and after (line through its middle)."""
    known = [v for line in lines for v in (*line.lows, *line.highs) if v is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = (high / 2 - low / 2) or 0.5
    title = f"{plural(lines[0].length, 'value')} in order, from {number(low)} to {number(high)} {units}".rstrip()

    def y(value: float) -> float:
        return _FLOOR - (value / 2 - low / 2) / span * (_FLOOR - _TOP)

    count = len(lines[0].lows)
    shapes = "".join(
        f'<path class="area" d="{_band(stretch, y, count, lines[0])}Z"/>' for stretch in _stretches(lines[0])
    )
    drawn = lines[-1]
    for stretch in _stretches(drawn):
        points = (
            f"{_x(i + 0.5, count)} {y((drawn.lows[i] or 0) / 2 + (drawn.highs[i] or 0) / 2):.1f}" for i in stretch
        )
        shapes += f'<path class="line" d="M{"L".join(points)}"/>'
    return _svg(title, shapes + _axis("first", "last", f"{_tick(low)} to {_tick(high)} {units}".strip()))


def bars(picture: CategoryPicture) -> str:
    """Return one horizontal bar a category, its count beside it."""
    rows = [*zip(picture.labels, picture.counts, strict=True)]
    if picture.others:
        rows.append(("all others", picture.others))
    if picture.missing:
        rows.append(("(missing)", picture.missing))
    if not rows:
        return ""
    top, total = max(count for _, count in rows) or 1, sum(count for _, count in rows)
    shapes = ""
    for index, (label, count) in enumerate(rows):
        at, long = 4 + index * 20, 130 * count / top
        kind = "bar none" if label == "(missing)" and index == len(rows) - 1 else "bar"
        shapes += (
            f'<text class="label" x="104" y="{at + 11}" text-anchor="end">{escape(_short(label, 16))}</text>'
            f'<rect class="{kind}" x="110" y="{at}" width="{max(1.0, long):.1f}" height="14"/>'
            f'<text class="count" x="{114 + long:.1f}" y="{at + 11}">{percent(count, total)}</text>'
        )
    named = "; ".join(f"{label}: {count}" for label, count in rows)
    return _svg(f"Counts of {plural(len(rows), 'category', 'categories')}: {named}", shapes, height=len(rows) * 20 + 8)


def missing_strip(shares: Sequence[float]) -> str:
    """Return where one column's cells are missing, as a strip: the darker, the more of a block is."""
    gaps = "".join(
        f'<rect class="gap" x="{block}" width="1.02" height="1" opacity="{0.15 + 0.85 * part:.2f}"/>'
        for block, part in enumerate(shares)
        if part
    )
    return (
        f'<svg class="strip" viewBox="0 0 {max(1, len(shares))} 1" preserveAspectRatio="none" '
        f'aria-hidden="true" focusable="false">{gaps}</svg>'
    )


def scale_dot(score: float, thresholds: Sequence[float] = (0.85, 0.95, 0.99), start: float = 0.8) -> str:
    """Return a score as a dot on a track from 0.8 to 1, with the levels' thresholds as ticks."""

    def x(value: float) -> float:
        return 6 + 228 * min(1.0, max(0.0, (value - start) / (1 - start)))

    ticks = "".join(f'<path class="tick" d="M{x(mark):.1f} 4V20"/>' for mark in thresholds)
    grade = "good" if score >= 0.95 else "fair" if score >= 0.85 else "poor"
    below = '<path class="poor" d="M2 12l8 -6v12z"/>' if score < start else ""
    dot = below or f'<circle class="{grade}" cx="{x(score):.1f}" cy="12" r="6"/>'
    return (
        f'<svg class="track-plot" viewBox="0 0 240 24" aria-hidden="true" focusable="false">'
        f'<path class="rail" d="M6 12H234"/>{ticks}{dot}</svg>'
    )


def _svg(title: str, shapes: str, *, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    return f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{shapes}</svg>'


def _axis(low: str, high: str, middle: str) -> str:
    at, centre = _FLOOR + 16, _WIDTH // 2
    return (
        f'<path class="floor" d="M{_LEFT} {_FLOOR}H{_WIDTH - _RIGHT}"/>'
        f'<text class="axis" x="{_LEFT}" y="{at}">{escape(low)}</text>'
        f'<text class="axis" x="{centre}" y="{at}" text-anchor="middle">{escape(_short(middle, 26))}</text>'
        f'<text class="axis" x="{_WIDTH - _RIGHT}" y="{at}" text-anchor="end">{escape(high)}</text>'
    )


def _tick(value: float) -> str:
    return number(value, 3)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _x(place: float, count: int) -> str:
    return f"{_LEFT + (_WIDTH - _LEFT - _RIGHT) * place / max(1, count):.1f}"


def _steps(histogram: Histogram, top: int, *, closed: bool = True) -> str:
    """Return the outline of a histogram; area and line differ only in their ends."""
    count = len(histogram.counts)
    path = f"M{_LEFT} {_FLOOR}" if closed else ""
    for index, held in enumerate(histogram.counts):
        height = _FLOOR - (_FLOOR - _TOP) * held / top
        path += f"{'M' if not path else 'L'}{_x(index, count)} {height:.1f}H{_x(index + 1, count)}"
    return path + (f"V{_FLOOR}" if closed else "")


def _stretches(line: Line) -> list[list[int]]:
    """Return the runs of stretches that hold values; a gap is not drawn over."""
    runs: list[list[int]] = []
    for index, low in enumerate(line.lows):
        if low is None:
            continue
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def _band(stretch: list[int], y: object, count: int, line: Line) -> str:
    assert callable(y)
    upper = [f"{_x(i + 0.5, count)} {y(line.highs[i]) - 0.5:.1f}" for i in stretch]
    lower = [f"{_x(i + 0.5, count)} {y(line.lows[i]) + 0.5:.1f}" for i in reversed(stretch)]
    return "M" + "L".join([*upper, *lower])


def _palette(anchors: Sequence[tuple[int, int, int]]) -> bytes:
    colours = [(0, 0, 0)]  # level 0, transparent
    parts = len(anchors) - 1
    for level in range(255):
        index = min(parts - 1, level * parts // 254)
        rest = level * parts - index * 254
        colours.append(
            tuple(
                (a * (254 - rest) + b * rest + 127) // 254
                for a, b in zip(anchors[index], anchors[index + 1], strict=True)
            )  # type: ignore[arg-type]
        )
    return bytes(value for colour in colours for value in colour)
