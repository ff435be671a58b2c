"""Where things lie in a package, and how an array is cut into chunks and shards."""

from math import prod

ARRAYS = "data/arrays.zarr"
TABLES = "data/tables"
CARRIED = "data/carried"
EVIDENCE = "evidence.parquet"
PLAN = "plan.json"
REPORT = "report.html"
CRATE = "ro-crate-metadata.json"
MANIFEST = "manifest.json"
CERTIFICATE = "certificate.json"

_CHUNK = 1 << 20  # bytes of decoded values: large enough for the codec, small enough for the cache
_SHARD = 128 << 20
_LARGEST_SOURCE_CHUNK = 32 << 20
_TILE = 512  # chunk edge on the spatial axes of images whose planes are larger than a chunk


def chunk_shape(
    shape: tuple[int, ...],
    itemsize: int,
    source_chunks: tuple[int, ...] | None,
    spatial_axes: tuple[int, int] | None = None,
) -> tuple[int, ...]:
    """Return the chunk shape: about 1 MiB, whole source chunks, else runs in C order.

    It depends on the array alone, never on memory or workers. Source chunks are not split (a split
    one would be decoded again for each part) unless they pass 32 MiB. Images larger than a chunk are
    cut into square tiles, so that a reader of a region does not read whole rows.
    """
    if not shape:
        return ()
    whole = tuple(max(1, n) for n in shape)
    limit = max(1, _CHUNK // itemsize)
    if source_chunks is not None and prod(min(c, n) for c, n in zip(source_chunks, whole, strict=True)) * itemsize <= (
        _LARGEST_SOURCE_CHUNK
    ):
        chunk = [min(max(1, c), n) for c, n in zip(source_chunks, whole, strict=True)]
    elif spatial_axes is not None and whole[spatial_axes[0]] * whole[spatial_axes[1]] > limit:
        chunk = [1] * len(whole)
        for axis in spatial_axes:
            chunk[axis] = min(_TILE, whole[axis])
    else:
        chunk = [1] * len(whole)
    base = tuple(chunk)
    for axis in reversed(range(len(whole))):  # grow along the fastest axis first
        room = limit // prod(chunk)
        if room < 2:
            break
        chunk[axis] = min(whole[axis], base[axis] * room)
        if chunk[axis] < whole[axis]:
            if base[axis] * (1 << (room.bit_length() - 1)) <= whole[axis]:
                chunk[axis] = base[axis] * (1 << (room.bit_length() - 1))
            break
    return tuple(chunk)


def shard_shape(shape: tuple[int, ...], chunk: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shard shape: whole chunks, about 128 MiB, grown along the fastest axis first."""
    if not shape:
        return ()
    shard = list(chunk)
    for axis in reversed(range(len(shape))):
        room = max(1, _SHARD // (prod(shard) * itemsize))
        needed = max(1, -(-max(1, shape[axis]) // chunk[axis]))
        shard[axis] = chunk[axis] * min(room, needed)
        if room < needed:
            break
    return tuple(shard)
