"""Zarr, versions 2 and 3, a folder or a zip: read and written through zarr-python, documents carried.

The listing is ours: it tells which chunks are there, which files belong to nothing, and which
metadata cannot be true, before zarr-python allocates anything.
"""

from ....plugin import FormatCode
from .decoder import ZarrDecoder
from .writer import write

ZARR = FormatCode(open=ZarrDecoder, write=write)
