"""VCF 4.0-4.5: variant calls as tab-separated text, plain or in BGZF, gzip, bzip2 or xz (hts-specs).

An own reader, since pysam and cyvcf2 accept much that the specification forbids. One table
`variants` with a typed column for every INFO and FORMAT key; see containers/variants.
"""

from pathlib import Path

from ...model.dataset import RuleCount
from ...plugin import FormatCode
from ...ports import ByteSource
from ...vocabulary import Dimension, RuleKind
from ..containers.gzip import lacks_bgzf_end, layer_of, open_plain
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


def container_rules(path: Path, layer: str) -> tuple[RuleCount, ...]:
    """Return what the container itself says: its checksums (verified while it is read) and BGZF's end."""
    if not layer:
        return ()
    lacking = lacks_bgzf_end(path)
    return (
        RuleCount(
            name="bgzf-end",
            dimension=Dimension.INTEGRITY,
            kind=RuleKind.STRUCTURAL,
            scope=1,
            examined=1,
            violations=int(lacking),
            message="the BGZF file does not end with its empty block: it was cut between two blocks",
            where=("end of file",) if lacking else (),
        ),
    )


VCF = FormatCode(open=open_vcf, write=write_vcf)
