"""BCF for the promise suite: the VCF fixture in binary, floats of 32 bits, vectors that end early; pysam is the peer."""

from pathlib import Path
from typing import Any

import pysam

from . import vcf

RECORDS = (
    "1 100 rs1;rs2 A C,G 50.5 PASS DP=10;AC=3,1;AN=6;AF=0.1,0.333333343;DB;CSQ=T|missense,G|stop"
    " GT:AD:GQ:FT 0/1:3,4,0:99:PASS 1|2:1,2,.:.:q10 0/1:.:7:.",
    "1 200 rs3 N <DEL> 1e-10 . SVTYPE=DEL;END=260;CIPOS=-5,70000 GT 1 0/0/1 .",
    "1 300 rs4 C . 1000000 PASS . GT:GL 0/0:-0.1,-1.2,-3 0/0:. .:.",
    "X 60 . T G . q10;s50 DB GQ:AD 5:1,2 .:. 7:.",
)


def make(folder: Path) -> Path:
    """Write the fixture through htslib."""
    pysam.set_verbosity(0)
    text, path = folder / "rich.vcf", folder / "rich.bcf"
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".split()
    body = "".join("\t".join(record.split(" ")) + "\n" for record in RECORDS)
    text.write_text(vcf.HEADER + "\t".join([*columns, *vcf.SAMPLES]) + "\n" + body, encoding="utf-8")
    with pysam.VariantFile(str(text)) as source, pysam.VariantFile(str(path), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    text.unlink()
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read with pysam, binary or text; genotypes and what pysam drops come from htslib's own text."""
    pysam.set_verbosity(0)
    with pysam.VariantFile(str(path)) as file:
        samples = list(file.header.samples)
        rows = []
        for record in file:
            row = vcf._row(record, str(record).rstrip("\n").split("\t"), samples)
            del row["KEYS/INFO"], row["KEYS/present"]
            rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {"variants": {name: [row.get(name) for row in rows] for name in names}}
