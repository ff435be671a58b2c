"""mzML: spectra and chromatograms of mass spectrometry (mzML 1.1.0, indexed or not, gzipped or not)."""

from ....plugin import FormatCode
from .decoder import MzmlDecoder

MZML = FormatCode(open=MzmlDecoder)
