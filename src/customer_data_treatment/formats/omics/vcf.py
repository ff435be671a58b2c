"""VCF 4.0-4.5: variant calls as tab-separated text, plain or in BGZF, gzip, bzip2 or xz (hts-specs).

An own reader, since pysam and cyvcf2 accept much that the specification forbids. One table
`variants` with a typed column for every INFO and FORMAT key; see containers/variants.
"""

from ...plugin import FormatCode
from ...ports import ByteSource
from ..containers.gzip import layer_of, open_plain
from ..containers.variants.container import container_rules
from ..containers.variants.decoder import VariantDecoder, write_vcf


def open_vcf(source: ByteSource) -> VariantDecoder:
    """Open a VCF; raise CustomerError as VariantDecoder and open_plain do."""
    path = source.local_path()
    layer = layer_of(source.head(6))
    return VariantDecoder(
        lambda: open_plain(path, where=source.name),
        format_name="VCF",
        where=source.name,
        compression=layer or None,
        bgzf=layer == "gzip",
        file_rules=container_rules(path, layer),
    )


VCF = FormatCode(open=open_vcf, write=write_vcf)
