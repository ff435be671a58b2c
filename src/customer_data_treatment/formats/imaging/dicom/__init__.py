"""DICOM: one file, or a folder of files that are one series (DICOM PS3.5, PS3.10).

The data set is walked by our own code, since only the raw bytes show what is wrong with a file and where
values lie; pydicom supplies the dictionary, the character sets and the decoders of compressed frames.
Pixels stay the stored numbers: no palette, no modality transform, no change of colour space (YBR stays YBR).
"""

from ....plugin import FormatCode
from .decoder import DicomDecoder
from .writer import write

DICOM = FormatCode(open=DicomDecoder, write=write)
