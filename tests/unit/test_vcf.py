"""VCF and BCF: every record comes back, every breach of the specification is named, pysam agrees on values."""

import gzip
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CustomerError
from customer_data_treatment.formats.containers.variants import blocks
from customer_data_treatment.formats.detect import detect
from customer_data_treatment.formats.omics.bcf import open_bcf
from customer_data_treatment.formats.omics.vcf import open_vcf, write_vcf
from customer_data_treatment.vocabulary import RuleKind
from tests.corpus_path import CORPUS
from tests.promises.harness import DirectPackage

META = """##fileformat=VCFv4.2
##FILTER=<ID=q10,Description="Quality below 10">
##INFO=<ID=DP,Number=1,Type=Integer,Description="d">
##INFO=<ID=AC,Number=A,Type=Integer,Description="d">
##INFO=<ID=AN,Number=1,Type=Integer,Description="d">
##INFO=<ID=AF,Number=A,Type=Float,Description="d">
##INFO=<ID=DB,Number=0,Type=Flag,Description="d">
##INFO=<ID=END,Number=1,Type=Integer,Description="d">
##INFO=<ID=NOTE,Number=.,Type=String,Description="d">
##FORMAT=<ID=GT,Number=1,Type=String,Description="d">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="d">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="d">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="d">
##FORMAT=<ID=DS,Number=1,Type=Float,Description="d">
"""
CONTIG = "##contig=<ID=1>\n"
COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT S1 S2".split()
NUMBER = re.compile(r"(?<![\w.])[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(?![\w.])")


def text_of(*records: str, meta: str = META, columns: list[str] = COLUMNS) -> str:
    rows = ["\t".join(record.split(" ")) for record in records]
    return meta + "\n".join(["\t".join(columns), *rows]) + "\n"


def read(path: Path, opened: Callable[..., Any] = open_vcf) -> tuple[pa.Table, dict[str, Any], Any]:
    decoder = opened(LocalSource(path))
    table = pa.Table.from_batches(list(decoder.batches("variants")), decoder.dataset.fields[0].schema)
    return table, {rule.name[4:]: rule for rule in decoder.rules()}, decoder


def broken(path: Path) -> dict[str, Any]:
    return {name: rule for name, rule in read(path)[1].items() if rule.violations}


def save(folder: Path, text: str, name: str = "x.vcf") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def spelling(line: str) -> str:
    """Return a line with every number spelt in one way: restore may write 1.50 as 1.5."""
    return NUMBER.sub(lambda found: repr(float(found[0]) + 0.0), line)


def restored(path: Path, target: Path) -> list[str]:
    write_vcf(DirectPackage(open_vcf(LocalSource(path))), target)
    raw = target.read_bytes()
    plain = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    return plain.decode().split("\n")


def assert_comes_back(path: Path, text: str, target: Path) -> None:
    found = restored(path, target)
    wanted = text.split("\n")
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a == b if b.startswith("#") else spelling(a) == spelling(b)


GOOD = "1 100 rs1 A C 50 PASS DP=10;AC=1;AN=4;AF=0.25;DB GT:AD:GQ 0/1:3,4:99 0/0:5,0:50"


def test_a_clean_file_breaks_nothing(tmp_path: Path) -> None:
    assert broken(save(tmp_path, text_of(GOOD))) == {}


BODY = {
    "chrom": GOOD.replace("1 100", "chr,1 100"),
    "chrom-characters": GOOD.replace("1 100", "chr:1 100"),
    "pos": GOOD.replace("1 100", "1 -5"),
    "id": GOOD.replace("rs1", ";rs1"),
    "id-duplicate": GOOD.replace("rs1", "rs1;rs1"),
    "ref": GOOD.replace(" A C ", " B C "),
    "alt": GOOD.replace(" A C ", " A [1:100[ "),
    "alt-duplicate": GOOD.replace(" A C ", " A A "),
    "alt-symbol": GOOD.replace(" A C ", " A <NIX:X> "),
    "qual": GOOD.replace(" 50 PASS", " high PASS"),
    "qual-negative": GOOD.replace(" 50 PASS", " -50 PASS"),
    "filter": GOOD.replace("PASS", "q10;."),
    "filter-pass": GOOD.replace("PASS", "PASS;q10"),
    "filter-duplicate": GOOD.replace("PASS", "q10;q10"),
    "filter-declared": GOOD.replace("PASS", "q11"),
    "info": GOOD.replace("DP=10;", "DP=10;;"),
    "info-duplicate": GOOD.replace("DP=10;", "DP=10;DP=11;"),
    "info-declared": GOOD.replace("DP=10;", "NEW=10;"),
    "info-type": GOOD.replace("DP=10;", "DP=1.5;"),
    "info-number": GOOD.replace("DP=10;", "DP=1,5;"),
    "info-range": GOOD.replace("DP=10;", "DP=-10;"),
    "info-integer": GOOD.replace("DP=10;", "DP=2147483648;"),
    "info-end": GOOD.replace("DP=10;", "END=99;"),
    "format": GOOD.replace("GT:AD:GQ", "AD:GT:GQ"),
    "format-alphanumeric": GOOD.replace("GT:AD:GQ", "GT:AD:G_Q"),
    "format-declared": GOOD.replace("GT:AD:GQ", "GT:AD:XQ"),
    "sample-fields": GOOD.replace(":99", ":99:1"),
    "sample-type": GOOD.replace(":99", ":many"),
    "sample-number": GOOD.replace("3,4", "3,4,5"),
    "sample-range": GOOD.replace(":99", ":-99"),
    "genotype": GOOD.replace("0/1", "0/|1"),
    "genotype-alleles": GOOD.replace("0/1", "0/2"),
    "allele-number": GOOD.replace("AN=4", "AN=6"),
    "allele-count": GOOD.replace("AC=1", "AC=2"),
    "allele-sum": GOOD.replace("AC=1;AN=4", "AC=5;AN=4"),
    "stray-space": GOOD.replace("rs1", ""),
}


@pytest.mark.parametrize("rule", sorted(BODY))
def test_a_breach_in_a_record_is_named_and_placed(rule: str, tmp_path: Path) -> None:
    """Each breach breaks its own rule, names its line, and the record still comes back."""
    text = text_of("1 90 . A G . . . GT 0/0 0/0", BODY[rule])
    path = save(tmp_path, text)
    found = broken(path)
    assert rule in found
    assert all("line 17" in place for place in found[rule].where)
    assert "rs1" not in " ".join((*found[rule].where, found[rule].message))
    assert_comes_back(path, text, tmp_path / "back.vcf")


META_LINES = {
    "meta-line": "##Some plain text",
    "meta-structure": '##INFO=<ID=X,Number=1,Type=String,Description="open>',
    "meta-structure-other": "##other=<ID=X,oops>",
    "meta-id": '##INFO=<ID=,Number=1,Type=String,Description="d">',
    "meta-duplicate": '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">',
    "meta-fields": '##INFO=<Number=1,ID=X,Type=String,Description="d">',
    "meta-number": '##INFO=<ID=X,Number=N,Type=String,Description="d">',
    "meta-flag": '##INFO=<ID=X,Number=0,Type=String,Description="d">',
    "meta-type": '##FORMAT=<ID=X,Number=1,Type=Int,Description="d">',
    "meta-description": "##FORMAT=<ID=X,Number=1,Type=Integer,Description=d>",
    "meta-reserved": '##FORMAT=<ID=HQ,Number=1,Type=Integer,Description="d">',
    "meta-alt": '##ALT=<ID=THIS:ONE,Description="d">',
    "meta-filter": '##FILTER=<ID=0,Description="d">',
    "meta-url": "##assembly=ftp://8080:8080/file.fa",
    "meta-pedigree": "##PEDIGREE=<Name_0=A b>",
    "meta-sample": '##SAMPLE=<ID=S1,Mixture=N1,Description="d">',
}


@pytest.mark.parametrize("rule", sorted(META_LINES))
def test_a_breach_in_the_header_is_named_and_placed(rule: str, tmp_path: Path) -> None:
    text = text_of(GOOD, meta=META + META_LINES[rule] + "\n")
    found = broken(save(tmp_path, text))
    assert rule in found
    assert found[rule].where[0].startswith("line 15")
    assert_comes_back(save(tmp_path, text), text, tmp_path / "back.vcf")


@pytest.mark.parametrize(
    ("rule", "records"),
    [
        ("chrom-contiguous", ["1 1 . A C . . .", "2 1 . A C . . .", "1 2 . A C . . ."]),
        ("pos-sorted", ["1 5 . A C . . .", "1 4 . A C . . ."]),
        ("record-duplicate", ["1 5 . A C . . .", "1 5 . A C . . ."]),
        ("record-duplicate", ["1 5 . TAT TGT . . .", "1 6 . A G . . ."]),
        ("record-duplicate", ["1 5 . AT AAT,AA . . .", "1 6 . T A . . ."]),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_breach_between_records_is_seen_across_blocks(
    rule: str, records: list[str], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    found = broken(save(tmp_path, text_of(*records, columns=COLUMNS[:8])))
    assert found[rule].violations == 1


@pytest.mark.parametrize("records", [["1 5 . A C . . .", "1 5 . A G . . ."], ["1 5 . A <INS> . . ."] * 2])
def test_other_alleles_and_symbols_are_no_duplicates(records: list[str], tmp_path: Path) -> None:
    assert "record-duplicate" not in broken(save(tmp_path, text_of(*records, columns=COLUMNS[:8])))


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_places_are_lines_and_samples_of_the_file(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    rows = [f"1 {at} . A C . . . GT:AD 0/1:1,2 0/0:3,4" for at in range(1, 41)]
    rows[29] = rows[29].replace("3,4", "x,4")
    found = broken(save(tmp_path, text_of(*rows)))["sample-type"]
    assert (found.violations, found.where) == (1, ("line 45, sample 2 AD",))


def test_what_cannot_be_a_table_is_refused(tmp_path: Path) -> None:
    cases = {
        "ragged-row": text_of(GOOD, GOOD + " 0/0"),
        "corrupt": text_of(GOOD.replace("1 100", "1 1e2")),
        "truncated": META,
        "unsupported-format": text_of(GOOD).replace("VCFv4.2", "VCFv3.3"),
    }
    for code, text in cases.items():
        with pytest.raises(CustomerError) as caught:
            read(save(tmp_path, text))
        assert caught.value.code == code
    for damage in (b"\0", b"\xff"):
        path = tmp_path / "bytes.vcf"
        path.write_bytes(text_of(GOOD).encode().replace(b"rs1", b"r" + damage))
        with pytest.raises(CustomerError, match="a record holds"):
            read(path)
    with pytest.raises(CustomerError, match="column header"):
        read(save(tmp_path, text_of(GOOD).replace("POS", "POSITION")))


def test_typed_columns_hold_what_the_header_declares(tmp_path: Path) -> None:
    table, _, decoder = read(
        save(
            tmp_path,
            text_of(
                "1 1 . A C,G . . AF=0.5,.;NOTE=a,b;DB GT:AD:PL 0|1:1,.,3:. .:.:.",
                "1 2 x;y A . 1e3 q10;s50 DP=7;AF=. GT:DS 1:0.5 ./.",
            ),
        )
    )
    row = table.to_pylist()
    assert row[0]["INFO/AF"] == [0.5, None] and row[0]["INFO/DB"] and row[0]["INFO/NOTE"] == ["a", "b"]
    assert row[0]["ALT"] == ["C", "G"] and row[1]["ALT"] is None
    assert row[0]["FORMAT/AD"] == [[1, None, 3], None] and row[0]["FORMAT/GT"] == ["0|1", None]
    assert row[1]["QUAL"] == 1000.0 and row[1]["INFO/DP"] == 7 and row[1]["KEYS/INFO"] == "DP;AF"
    assert row[1]["KEYS/present"] == [2, 1] and row[1]["FORMAT/DS"] == [0.5, None]
    assert table.schema.field("INFO/AF").type == pa.list_(pa.float64())
    assert "S1" not in repr(decoder.dataset), "sample names stand in the carried header only"


def test_keys_called_like_our_own_columns_do_not_collide(tmp_path: Path) -> None:
    text = text_of(
        "1 1 . A C . . order=a;DP=2;INFO=3 GT:present 0/0:5 0/0", "1 2 . A C . . DP=2;order=b GT:INFO 0/0:5 0/0"
    )
    path = save(tmp_path, text)
    assert_comes_back(path, text, tmp_path / "back.vcf")
    names = read(path)[0].column_names
    assert len(set(names)) == len(names) and {"INFO/order", "FORMAT/present", "KEYS/INFO", "KEYS/present"} <= set(names)


_WORD = st.text("ABCxyz0189_|", min_size=1, max_size=4)
_INT = st.integers(-(2**31) + 8, 2**31 - 1).map(str)
_FLOAT = st.floats(allow_nan=False, allow_infinity=False).map(repr)
_VALUE = {
    "DP": _INT,
    "AC": st.lists(_INT | st.just("."), min_size=1, max_size=3).map(",".join),
    "AF": st.lists(_FLOAT | st.just("."), min_size=1, max_size=3).map(",".join),
    "NOTE": st.lists(_WORD | st.just("."), min_size=1, max_size=3).map(",".join),
    "NEW": _WORD,
    "END": st.sampled_from([".", "1.5", "9", "0x1F", "-3"]),
}
_CELLS = {
    "GT": st.sampled_from(["0/1", "1|1", ".", "./.", "0", "0/1/2", "./1"]),
    "AD": st.lists(_INT | st.just("."), min_size=1, max_size=3).map(",".join),
    "GQ": st.sampled_from(["7", ".", "", "x", "99"]),
    "DS": _FLOAT | st.just("."),
    "XX": _WORD | st.just("."),
}


@st.composite
def _records(draw: st.DrawFn) -> str:
    keys = draw(st.lists(st.sampled_from([*_VALUE, "DB"]), max_size=5))
    info = [key if key == "DB" else f"{key}={draw(_VALUE[key])}" for key in keys]
    formats = draw(st.lists(st.sampled_from(list(_CELLS)), min_size=1, max_size=4))
    cells = []
    for _ in range(2):
        held = [draw(_CELLS[key]) for key in formats][: draw(st.integers(1, len(formats)))]
        cells.append(":".join(held))
    quality = draw(st.sampled_from([".", "5", "0.1", "x", ""]))
    alt = draw(st.sampled_from([".", "C", "C,G", "<DEL>", "C,", ""]))
    parts = ["1", str(draw(st.integers(0, 999))), draw(st.sampled_from([".", "rs1;rs2", ""])), "A", alt, quality]
    return "\t".join(
        [*parts, draw(st.sampled_from([".", "PASS", "q10;s", ""])), ";".join(info) or ".", ":".join(formats), *cells]
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_records(), min_size=1, max_size=8), st.sampled_from([1, 200, 1 << 20]))
def test_any_record_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[str], size: int) -> None:
    """Odd orders, repeated keys, undeclared keys, values against their type: all come back, block by block."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    text = META + "\n".join(["\t".join(COLUMNS), *records]) + "\n"
    assert_comes_back(save(tmp_path, text), text, tmp_path / "back.vcf")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_records(), min_size=1, max_size=8))
def test_counts_do_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[str]) -> None:
    path = save(tmp_path, META + "\n".join(["\t".join(COLUMNS), *records]) + "\n")
    found = []
    for size in (1, 150, 1 << 20):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        found.append({name: (rule.scope, rule.violations) for name, rule in read(path)[1].items()})
    assert found[0] == found[1] == found[2]


def test_line_ends_blank_lines_and_a_missing_last_end(tmp_path: Path) -> None:
    text = text_of(GOOD, GOOD.replace("1 100", "1 101"))
    path = save(tmp_path, text.replace("\n", "\r\n"))
    assert broken(path) == {}
    assert "\n".join(restored(path, tmp_path / "b.vcf")) == text.replace("\n", "\r\n")
    found = broken(save(tmp_path, text[:-1] + "\r\n\n" + GOOD.replace("1 100", "1 102").replace(" ", "\t")))
    assert {"line-ends", "blank-line", "final-newline"} == set(found)


def test_bgzf_is_written_as_bgzip_would_and_its_end_is_missed(tmp_path: Path) -> None:
    text = text_of(*[GOOD.replace("1 100", f"1 {at}").replace("rs1", f"rs{at * 7919}") for at in range(100, 4000)])
    path = save(tmp_path, text)
    target = tmp_path / "back.vcf.gz"
    assert_comes_back(path, text, target)
    with pysam.BGZFile(str(target)) as file:
        assert file.read() == gzip.decompress(target.read_bytes())
    assert "bgzf-end" not in {rule.name for rule in read(target)[2].rules() if rule.violations}
    raw = target.read_bytes()
    target.write_bytes(raw[:-28])
    rules = [rule for rule in read(target)[2].rules() if rule.violations]
    assert [(rule.name, rule.kind) for rule in rules] == [("bgzf-end", RuleKind.STRUCTURAL)]
    target.write_bytes(raw[:-40])
    with pytest.raises(CustomerError, match="gzip"):
        read(target)
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 1
    target.write_bytes(flipped)
    with pytest.raises(CustomerError) as caught:
        read(target)
    assert caught.value.exit_status == 3


def write_bcf(path: Path, text: Path) -> None:
    pysam.set_verbosity(0)
    with pysam.VariantFile(str(text)) as source, pysam.VariantFile(str(path), "wb", header=source.header) as target:
        for record in source:
            target.write(record)


def test_bcf_gives_the_stored_floats_back(tmp_path: Path) -> None:
    """Floats with more digits than htslib prints come back to the last bit."""
    rng = np.random.default_rng(7)
    values = np.exp(rng.normal(0, 20, 50)).astype(np.float32)
    rows = [f"1 {at + 1} . A C {value} . AF={value};DP=70000 GT:DS 0|1:{value} 1/1" for at, value in enumerate(values)]
    write_bcf(tmp_path / "x.bcf", save(tmp_path, text_of(*rows, meta=META + CONTIG)))
    table, _, decoder = read(tmp_path / "x.bcf", open_bcf)
    assert table.column("FORMAT/GT")[0].as_py() == ["0|1", "1/1"]
    for name in ("QUAL", "INFO/AF"):
        found = table.column(name).combine_chunks()
        flat = found.flatten() if pa.types.is_list(found.type) else found
        assert (flat.to_numpy(zero_copy_only=False) == values).all()
    write_vcf(DirectPackage(decoder), tmp_path / "back.vcf")
    with pysam.VariantFile(str(tmp_path / "back.vcf")) as back:
        assert [np.float32(record.qual) for record in back] == list(values)


def test_damaged_bcf_is_refused(tmp_path: Path) -> None:
    rows = [GOOD.replace("1 100", f"1 {at}") for at in range(100, 140)]
    write_bcf(tmp_path / "x.bcf", save(tmp_path, text_of(*rows, meta=META + CONTIG)))
    plain = gzip.decompress((tmp_path / "x.bcf").read_bytes())
    start = 9 + struct.unpack("<I", plain[5:9])[0]
    for cut in range(start + 1, len(plain), 397):
        (tmp_path / "cut.bcf").write_bytes(plain[:cut])
        try:
            rows = read(tmp_path / "cut.bcf", open_bcf)[0].num_rows
            assert rows < 40
        except CustomerError as error:
            assert error.code == "truncated"
    for at in range(start, start + 120, 3):
        damaged = bytearray(plain)
        damaged[at] ^= 0x55
        (tmp_path / "bad.bcf").write_bytes(damaged)
        try:
            read(tmp_path / "bad.bcf", open_bcf)
        except CustomerError as error:
            assert error.exit_status == 3


needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus of real files is not here (CDT_CORPUS)")
GOOD_FILES = ("bcftools/roh.1.vcf.gz", "cyvcf2/test.vcf.gz", "pysam/ex1.vcf.gz", "pysam/gnomad.vcf")
BAD_FILES = {
    "alt_000": "alt",
    "alt_001": "alt",
    "alt_002": "alt",
    "alt_003": "alt",
    "alt_005": "alt",
    "chrom_000": "chrom",
    "chrom_001": "chrom-characters",
    "chrom_002": "chrom",
    "chrom_003": "chrom",
    "contiguous_000": "chrom-contiguous",
}


@needs_corpus
@pytest.mark.parametrize("name", GOOD_FILES)
def test_real_files_come_back_and_agree_with_pysam(name: str, tmp_path: Path) -> None:
    assert CORPUS is not None
    path = CORPUS / "genomics" / name
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    assert_comes_back(path, text, tmp_path / "back.vcf.gz")
    table, rules, _ = read(path)
    assert not [rule for rule in rules.values() if rule.kind is RuleKind.STRUCTURAL and rule.violations]
    pysam.set_verbosity(0)
    with pysam.VariantFile(str(path)) as file:
        for row, record in zip(table.to_pylist(), file, strict=True):
            assert (row["CHROM"], row["POS"], row["REF"]) == (record.chrom, record.pos, record.ref)
            assert record.qual is None or math.isclose(row["QUAL"], record.qual, rel_tol=1e-6)
            for key in record.info:
                if record.header.info[key].number == "G":
                    continue  # pysam raises on INFO keys with Number=G
                value, held = record.info[key], row.get(f"INFO/{key}")
                if isinstance(value, float) and isinstance(held, float):
                    assert math.isclose(held, value, rel_tol=1e-6, abs_tol=1e-37)
                elif isinstance(value, (int, str)) and not isinstance(held, (list, type(None))):
                    assert str(held) == str(value) or isinstance(value, bool)


@needs_corpus
@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_known_bad_files_break_the_rule_they_are_about(name: str) -> None:
    assert CORPUS is not None
    found = broken(CORPUS / "malformed" / "hts-specs" / f"failed_body_{name}.vcf")
    assert BAD_FILES[name] in found


@pytest.mark.parametrize(
    "first", ["", "##fileformat=\n", "##source=x\n", "\ufeff##fileformat=VCFv4.2\n", "##fileformat=VCF v4.2\n"]
)
def test_a_garbled_first_line_is_a_defect_not_another_format(first: str, tmp_path: Path) -> None:
    path = save(tmp_path, text_of("1 5 . A C . . .", meta=first, columns=COLUMNS[:8]), "x.txt")
    assert detect(LocalSource(path)).name == "VCF"
    assert {"fileformat", "header-text"} & set(broken(path))


def test_a_header_in_latin_1_comes_back(tmp_path: Path) -> None:
    raw = text_of(GOOD, meta=META + '##source="Zo\xeb"\n').encode("latin-1")
    (tmp_path / "x.vcf").write_bytes(raw)
    assert "header-text" in broken(tmp_path / "x.vcf")
    write_vcf(DirectPackage(open_vcf(LocalSource(tmp_path / "x.vcf"))), tmp_path / "back.vcf")
    assert (tmp_path / "back.vcf").read_bytes() == raw
