"""FITS: images and tables of astronomy, compressed ones too (FITS Standard 4.0).

Structure, headers, tables and plain images are read by our own code, since only raw bytes show
what is wrong with a file and rows must come in bounded batches; astropy decodes compressed tiles,
in a child, since its HCOMPRESS decoder can abort the interpreter on damaged bytes.
"""

from ....plugin import FormatCode
from .decoder import FitsDecoder, has_tiles
from .writer import write

FITS = FormatCode(open=FitsDecoder, write=write, contain=has_tiles)
