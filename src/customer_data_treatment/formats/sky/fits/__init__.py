"""FITS: images and tables of astronomy, compressed ones too (FITS Standard 4.0).

Structure, headers, tables and plain images are read by our own code, since only raw bytes show
what is wrong with a file and rows must come in bounded batches; astropy decodes compressed tiles.
"""

from ....plugin import FormatCode
from .decoder import FitsDecoder
from .writer import write

FITS = FormatCode(open=FitsDecoder, write=write)
