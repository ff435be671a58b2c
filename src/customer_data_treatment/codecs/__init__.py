"""The codecs: name -> facts. All are Zarr v3 core codecs, so plain zarr reads what they write."""

from collections.abc import Mapping
from types import MappingProxyType

from ..plugin import CodecFacts

_PACKAGE = "customer_data_treatment.codecs"

# Level 1 for what is large: on noisy floats higher levels cost five times the time for 1-2 %.
# Level 7 for what is small, where time does not count and every byte of a small file does.
CODECS: Mapping[str, CodecFacts] = MappingProxyType(
    {
        facts.name: facts
        for facts in (
            CodecFacts("zstd1-shuffle", f"{_PACKAGE}.lossless:ZSTD1_SHUFFLE", small=False),
            CodecFacts("zstd1-bitshuffle", f"{_PACKAGE}.lossless:ZSTD1_BITSHUFFLE", small=False),
            CodecFacts("zstd1-plain", f"{_PACKAGE}.lossless:ZSTD1_PLAIN", small=False),
            CodecFacts("zstd7-shuffle", f"{_PACKAGE}.lossless:ZSTD7_SHUFFLE", small=True),
            CodecFacts("zstd7-bitshuffle", f"{_PACKAGE}.lossless:ZSTD7_BITSHUFFLE", small=True),
            CodecFacts("zstd7-plain", f"{_PACKAGE}.lossless:ZSTD7_PLAIN", small=True),
        )
    }
)
