"""VCF for the promise suite: every kind of key, partial and missing values, odd orders; pysam is the peer."""

from pathlib import Path
from typing import Any

import pysam

HEADER = """##fileformat=VCFv4.2
##source="a caller – ünïcode"
##contig=<ID=1,length=10000>
##contig=<ID=X,length=5000>
##FILTER=<ID=q10,Description="Quality below 10">
##FILTER=<ID=s50,Description="Less than half of samples \\"have\\" data">
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Alleles counted">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Alleles">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">
##INFO=<ID=DB,Number=0,Type=Flag,Description="dbSNP">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type">
##INFO=<ID=CIPOS,Number=2,Type=Integer,Description="Interval">
##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequences">
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depths">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
##FORMAT=<ID=GL,Number=G,Type=Float,Description="Likelihoods">
##FORMAT=<ID=FT,Number=1,Type=String,Description="Filter">
"""
SAMPLES = ("NA1", "NA2", "Zoë 3")
RECORDS = (
    "1 100 rs1;rs2 A C,G 50.5 PASS DP=10;AC=3,1;AN=6;AF=0.5,0.25;DB;CSQ=T|missense,G|stop"
    " GT:AD:GQ:FT 0/1:3,4,0:99:PASS 1|2:1,2,.:.:q10 0/1:.:7:.",
    "1 200 . AT A . q10;s50 AN=4;DP=.;AC=1 GT:GL:AD 0|0:-0.5,-1.25,-2 0/1 ./.",
    "1 200 rs3 N <DEL> 0 . SVTYPE=DEL;END=260;CIPOS=-5,5 GT 1 0/0/1 .",
    "1 300 rs4 C . 1000000 PASS . GT:GQ 0/0:1 0/0:. .:5",
    "X 50 esv+1 G GA[X:40[,* 12.125 . AF=.,0.75;DP=2147483647 GT:FT 2/2:p.1 .:. 0|1:q10",
    "X 60 . T G 3 PASS DB GQ:AD 5:1,2 .:. 7:.",
)


def lines() -> str:
    """Return the fixture's text."""
    body = "".join("\t".join(record.split(" ")) + "\n" for record in RECORDS)
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".split()
    return HEADER + "\t".join([*columns, *SAMPLES]) + "\n" + body


def make(folder: Path) -> Path:
    """Write the fixture as BGZF."""
    path = folder / "rich.vcf.gz"
    with pysam.BGZFile(str(path), "w") as file:
        file.write(lines().encode())
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read with pysam; what it drops (order of keys, absent fields, END) comes from the lines themselves."""
    pysam.set_verbosity(0)
    with pysam.BGZFile(str(path)) as plain:
        texts = [line.decode().split("\t") for line in plain if not line.startswith(b"#")]
    with pysam.VariantFile(str(path)) as file:
        samples = list(file.header.samples)
        rows = [_row(record, text, samples) for record, text in zip(file, texts, strict=True)]
    names = dict.fromkeys(name for row in rows for name in row)
    return {"variants": {name: [row.get(name) for row in rows] for name in names}}


# The rows whose INFO keys are not in the table's order, or have a key without a value.
_ODD_ORDER = ("100", "200 .")


def _row(record: Any, text: list[str], samples: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "CHROM": record.chrom,
        "POS": record.pos,
        "ID": record.id,
        "REF": record.ref,
        "ALT": list(record.alts) if record.alts else None,
        "QUAL": record.qual,
        "FILTER": list(record.filter.keys()) or None,
        "FORMAT": text[8],
        "INFO/DB": False,
        "KEYS/INFO": None,
        "KEYS/present": None,
    }
    for key, value in record.info.items():
        row[f"INFO/{key}"] = list(value) if isinstance(value, tuple) else value
    keys = [part.split("=")[0] for part in text[7].split(";") if part != "."]
    if "END" in keys:
        row["INFO/END"] = record.stop
    if text[1] in _ODD_ORDER or f"{text[1]} {text[2]}" in _ODD_ORDER:
        row["KEYS/INFO"] = ";".join(keys)
    formats = text[8].split(":")
    counts = [cell.count(":") + 1 for cell in text[9:]]
    if set(counts) != {len(formats)}:
        row["KEYS/present"] = counts
    for at, key in enumerate(formats):
        cells = [cell.split(":") for cell in text[9:]]
        row[f"FORMAT/{key}"] = [
            _cell(key, record.samples[sample][key], cell[at : at + 1])
            for sample, cell in zip(samples, cells, strict=True)
        ]
    return row


def _cell(key: str, value: Any, text: list[str]) -> Any:
    """Return a sample's value: genotypes as their text, lists as lists, None where a dot stands or nothing."""
    if not text or text[0].strip() == ".":
        return None
    if key == "GT":
        return text[0].strip()
    return list(value) if isinstance(value, tuple) else value
