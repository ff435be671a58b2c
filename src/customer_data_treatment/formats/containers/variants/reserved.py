"""What the specification fixes about keys, by version (VCF 4.1-4.5, 1.2.2, 1.4.2, 1.6; tables 1 and 2)."""

from collections.abc import Mapping
from types import MappingProxyType

VERSIONS = ("4.0", "4.1", "4.2", "4.3", "4.4", "4.5")
FLOOR = "4.2"  # rules of the oldest version that is fully specified serve an unreadable version line

# Key:Type:Number; a Type or Number of "*" is left open.
_INFO_42 = """AA:String:1 AC:Integer:A AF:Float:A AN:Integer:1 BKPTID:String:. BQ:Float:1 CICN:Integer:2
CICNADJ:Integer:. CIEND:Integer:2 CIGAR:String:A CILEN:Integer:2 CIPOS:Integer:2 CN:Integer:1 CNADJ:Integer:.
DB:Flag:0 DBRIPID:String:1 DBVARID:String:1 DGVID:String:1 DP:Integer:1 DPADJ:Integer:. END:Integer:1
EVENT:String:1 HOMLEN:Integer:. HOMSEQ:String:. H2:Flag:0 H3:Flag:0 IMPRECISE:Flag:0 MATEID:String:.
MEINFO:String:4 METRANS:String:4 MQ:*:1 MQ0:Integer:1 NOVEL:Flag:0 NS:Integer:1 PARID:String:1 SB:*:*
SOMATIC:Flag:0 SVLEN:Integer:. SVTYPE:String:1 VALIDATED:Flag:0 1000G:Flag:0"""
_INFO_43 = _INFO_42 + " AD:Integer:R ADF:Integer:R ADR:Integer:R"
_INFO_44 = """AA:String:1 AC:Integer:A AD:Integer:R ADF:Integer:R ADR:Integer:R AF:Float:A AN:Integer:1
BKPTID:String:A BQ:Float:1 CICN:Float:. CIEND:Integer:. CIGAR:String:A CILEN:Integer:. CIPOS:Integer:.
CIRB:Integer:. CIRUC:Float:. CN:Float:A DB:Flag:0 DBRIPID:String:A DBVARID:String:A DGVID:String:A DP:Integer:1
END:Integer:1 EVENT:String:A EVENTTYPE:String:A HOMLEN:Integer:A HOMSEQ:String:A H2:Flag:0 H3:Flag:0
IMPRECISE:Flag:0 MATEID:String:A MEINFO:String:. METRANS:String:. MQ:*:1 MQ0:Integer:1 NOVEL:Flag:0 NS:Integer:1
PARID:String:A RB:Integer:. RN:Integer:A RUB:Integer:. RUC:Float:. RUL:Integer:. RUS:String:. SB:*:* SOMATIC:Flag:0
SVCLAIM:String:A SVLEN:Integer:A SVTYPE:String:1 VALIDATED:Flag:0 1000G:Flag:0"""
_FORMAT_42 = """AHAP:Integer:1 CN:Integer:1 CNL:Float:. CNQ:Float:1 DP:Integer:1 EC:Integer:A FT:String:1 GL:Float:G
GLE:String:G GP:Float:G GQ:Integer:1 GT:String:1 HAP:Integer:1 HQ:Integer:2 MQ:Integer:1 NQ:Integer:1 PL:Integer:G
PQ:Integer:1 PS:Integer:1"""
_FORMAT_43 = """AD:Integer:R ADF:Integer:R ADR:Integer:R AHAP:Integer:1 CN:Integer:1 CNL:Float:G CNP:Float:G
CNQ:Float:1 DP:Integer:1 EC:Integer:A FT:String:1 GL:Float:G GP:Float:G GQ:Integer:1 GT:String:1 HAP:Integer:1
HQ:Integer:2 MQ:Integer:1 NQ:Integer:1 PL:Integer:G PQ:Integer:1 PS:Integer:1"""
_FORMAT_44 = _FORMAT_43.replace("CN:Integer:1", "CN:Float:1") + (
    " CICN:Float:2 PSL:String:P PSO:Integer:P PSQ:Integer:P"
)
_FORMAT_45 = _FORMAT_44 + (
    " LAA:Integer:. LAD:Integer:LR LADF:Integer:LR LADR:Integer:LR LEC:Integer:LA LGL:Float:LG LGP:Float:LG"
    " LGT:String:1 LPL:Integer:LG LEN:Integer:1"
)

Reserved = Mapping[str, tuple[str, str]]


def _table(text: str) -> Reserved:
    rows = (item.split(":") for item in text.split())
    return MappingProxyType({key: (kind, number) for key, kind, number in rows})


INFO: Mapping[str, Reserved] = MappingProxyType(
    dict(zip(VERSIONS, map(_table, (_INFO_42, _INFO_42, _INFO_42, _INFO_43, _INFO_44, _INFO_44)), strict=True))
)
FORMAT: Mapping[str, Reserved] = MappingProxyType(
    dict(
        zip(
            VERSIONS,
            map(_table, (_FORMAT_42, _FORMAT_42, _FORMAT_42, _FORMAT_43, _FORMAT_44, _FORMAT_45)),
            strict=True,
        )
    )
)

# Integers that may be negative; every other reserved integer counts or measures something.
SIGNED = frozenset({"SVLEN", "CIPOS", "CIEND", "CILEN", "CIRB", "CICNADJ", "CICN"})
SV_TYPES = frozenset({"DEL", "INS", "DUP", "INV", "CNV", "BND"})
INFO_TYPES = frozenset({"Integer", "Float", "Flag", "Character", "String"})
FORMAT_TYPES = INFO_TYPES - {"Flag"}


def numbers(version: str, section: str) -> frozenset[str]:
    """Return the letters that Number may be beside a count, in that version and section."""
    letters = {"A", "R", "G", "."}  # R came with 4.2; files that say 4.1 use it widely
    if section == "FORMAT" and version >= "4.4":
        letters.add("P")
    if section == "FORMAT" and version >= "4.5":
        letters |= {"LA", "LR", "LG", "M"}
    return frozenset(letters)
