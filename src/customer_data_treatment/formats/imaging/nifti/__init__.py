"""NIfTI-1 and NIfTI-2: volumes of medical imaging, gzipped or not, one file or a header/image pair."""

from ....plugin import FormatCode
from .decoder import NiftiDecoder
from .writer import write

NIFTI = FormatCode(open=NiftiDecoder, write=write)
