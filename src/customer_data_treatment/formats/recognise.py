"""How each format is told by its content. Nothing here imports a reader before it must."""

import re
from importlib.util import find_spec
from pathlib import Path

from ..plugin import Head
from .delimiters import Delimited, decode_text, delimited, feature_table

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def parquet(head: Head) -> bool:
    """Tell Parquet by its magic."""
    return head.raw.startswith((b"PAR1", b"PARE"))


def arrow(head: Head) -> bool:
    """Tell an Arrow IPC file, Feather v1 or v2, or an IPC stream (continuation, schema message)."""
    if head.raw.startswith((b"ARROW1", b"FEA1")):
        return True
    length = int.from_bytes(head.raw[4:8], "little")
    return head.raw.startswith(b"\xff\xff\xff\xff") and 0 < length < 1 << 24


def npy(head: Head) -> bool:
    """Tell NPY by its magic."""
    return head.raw.startswith(b"\x93NUMPY")


def npz(head: Head) -> bool:
    """Tell NPZ: a zip of .npy members and nothing else."""
    members = [name for name in head.members if not name.endswith("/")]
    if members:
        return all(name.endswith(".npy") for name in members)
    return head.raw.startswith(b"PK\x03\x04") and head.name.lower().endswith(".npz")


def _is_hdf5(head: Head) -> bool:
    """Tell HDF5: the signature at 0 or after a user block of 512 * 2^n bytes (HDF5 spec, II.A)."""
    offsets = (0, *(512 << power for power in range(7)))
    return any(head.raw[at : at + 8] == _HDF5_SIGNATURE for at in offsets)


def _hdf5_kind(path: Path) -> str:
    """Return "h5ad", "NetCDF" or "HDF5" by what stands inside; "HDF5" if it can't be opened."""
    if find_spec("h5py") is None:
        return "HDF5"
    import h5py

    try:
        with h5py.File(path, "r") as file:
            kind = file.attrs.get("encoding-type", b"")
            kind = kind.decode("utf-8", "replace") if isinstance(kind, bytes) else str(kind)
            if kind == "anndata" or {"X", "obs", "var"} <= set(file):
                return "h5ad"
            if "_NCProperties" in file.attrs or "Conventions" in file.attrs:
                return "NetCDF"
            scales = (item.attrs.get("CLASS") for item in file.values() if isinstance(item, h5py.Dataset))
            return "NetCDF" if b"DIMENSION_SCALE" in scales else "HDF5"
    except Exception:  # a damaged file: the decoder will say what is wrong with it
        return "HDF5"


def hdf5(head: Head) -> bool:
    """Tell HDF5 that is nothing more particular."""
    return _is_hdf5(head)


def h5ad(head: Head) -> bool:
    """Tell AnnData in HDF5."""
    return _is_hdf5(head) and _hdf5_kind(head.path) == "h5ad"


def netcdf(head: Head) -> bool:
    """Tell NetCDF: classic (CDF-1, -2, -5) by magic, version 4 by what the HDF5 file holds."""
    if head.raw[:3] == b"CDF" and head.raw[3:4] in (b"\x01", b"\x02", b"\x05"):
        return True
    return _is_hdf5(head) and _hdf5_kind(head.path) == "NetCDF"


_ZARR_PAPERS = {"zarr.json", ".zgroup", ".zarray", ".zmetadata"}


def zarr_zip(head: Head) -> bool:
    """Tell a zipped Zarr hierarchy by its metadata documents."""
    return any(name.rsplit("/", 1)[-1] in _ZARR_PAPERS for name in head.members)


def zarr_folder(folder: Path) -> bool:
    """Tell a Zarr hierarchy, version 2 or 3, by its root document."""
    return any((folder / paper).is_file() for paper in _ZARR_PAPERS)


def fits(head: Head) -> bool:
    """Tell FITS by its first card (FITS 4.0, 4.4.1)."""
    return head.plain.startswith(b"SIMPLE  =")


# The first element of a data set, in group 0008: explicit VR (either byte order, after up to 15 stray
# bytes) or implicit VR with a short length.
_DICOM_EXPLICIT = re.compile(
    rb"(?s).{0,15}?(?:\x08\x00[\x00-\x20]\x00|\x00\x08\x00[\x00-\x20])(?:UL|CS|UI|DA|TM|SH|LO|ST|SQ|DT|UN)[\x00-\xff]"
)
_DICOM_IMPLICIT = re.compile(rb"(?s)\x08\x00[\x00-\x20]\x00..\x00\x00")


def dicom(head: Head) -> bool:
    """Tell DICOM: DICM at 128, or a data set without preamble, or even without file meta information."""
    if head.raw[128:132] == b"DICM":
        return True
    if len(head.raw) < 16:
        return False
    if re.match(rb"(?s)\x02\x00.\x00(?:UL|OB|UI|SH)", head.raw):
        return True
    if _DICOM_EXPLICIT.match(head.raw):
        return True
    return _DICOM_IMPLICIT.match(head.raw) is not None and int.from_bytes(head.raw[4:8], "little") < 1024


def dicom_folder(folder: Path) -> bool:
    """Tell a DICOM series: files only, each DICOM (DICOMDIR and hidden ones aside), one series at least."""
    names = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "DICOMDIR")
    if not names or not all(p.is_file() for p in names):
        return False
    for path in names:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return False
    return True


def nifti(head: Head) -> bool:
    """Tell NIfTI-1 or -2, either byte order, by header size and magic."""
    size = head.plain[:4]
    if size in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c"):
        return head.plain[344:348] in (b"n+1\x00", b"ni1\x00")
    return size in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") and head.plain[4:7] in (b"n+2", b"ni2")


def nifti_folder(folder: Path) -> bool:
    """Tell a NIfTI pair: one .hdr that is NIfTI, its .img, and nothing else that is not hidden."""
    names = sorted(p.name.lower() for p in folder.iterdir() if not p.name.startswith("."))
    stems = {name.removesuffix(".gz").rsplit(".", 1)[0] for name in names}
    kinds = sorted(name.removesuffix(".gz").rsplit(".", 1)[-1] for name in names)
    if len(stems) != 1 or kinds != ["hdr", "img"]:
        return False
    header = next(p for p in folder.iterdir() if p.name.lower().removesuffix(".gz").endswith(".hdr"))
    with header.open("rb") as file:
        start = file.read(1 << 16)
    if start.startswith(b"\x1f\x8b"):
        return True  # the decoder will say whether it is one
    return nifti(Head(header.name, start, start, "", (), header))


def vcf(head: Head) -> bool:
    """Tell VCF by its first line (VCF 4.5, 1.1), a byte-order mark aside, or by its column header.

    A file that lacks or garbles the first line is a VCF with a defect, not some other table.
    """
    text = head.plain.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"##fileformat=VCF"):
        return True
    return text.startswith(b"#") and re.search(rb"^#CHROM[\t ]+POS[\t ]+ID[\t ]+REF[\t ]+ALT\b", text, re.M) is not None


def bcf(head: Head) -> bool:
    """Tell BCF2, compressed or not."""
    return head.plain.startswith(b"BCF\x02")


def mzml(head: Head) -> bool:
    """Tell mzML by its root element."""
    return re.search(rb"<(\w+:)?(indexedmzML|mzML)[\s>]", head.plain[:4096]) is not None


def csv(head: Head) -> bool:
    """Tell comma, semicolon or bar separated text."""
    found = _delimited(head)
    return found is not None and found.delimiter != "\t"


def tsv(head: Head) -> bool:
    """Tell tab separated text."""
    found = _delimited(head)
    return found is not None and found.delimiter == "\t"


def _delimited(head: Head) -> Delimited | None:
    if foreign(head) is not None:
        return None
    return delimited(head.plain, head.name)


# Known by content and not read yet: refused by name, never taken for a table.
_FOREIGN_STARTS: tuple[tuple[bytes, str], ...] = (
    (b">", "FASTA"),
    (b"@HD\t", "SAM"),
    (b"@SQ\t", "SAM"),
    (b"BAM\x01", "BAM"),
    (b"CRAM", "CRAM"),
    (b"MSH|", "HL7 v2"),
    (b"FHS|", "HL7 v2"),
    (b"BHS|", "HL7 v2"),
    (b"##gff-version", "GFF"),
    (b"##gtf", "GTF"),
    (b"##TITLE", "JCAMP-DX"),
    (b"BEGIN IONS", "MGF"),
    (b"MTD\t", "mzTab"),
    (b"COM\t", "mzTab"),
    (b"^DATABASE", "GEO SOFT"),
    (b"%%MatrixMarket", "Matrix Market"),
    (b"#1.2", "GCT"),
    (b"#1.3", "GCT"),
    (b"<", "XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"HepMC::", "HepMC"),
    (b"PDS_VERSION_ID", "PDS3"),
    (b"CCSD", "PDS3"),
    (b"Object = IsisCube", "ISIS"),
    (b"%PDF", "PDF"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\x89PNG", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "BigTIFF"),
    (b"GRIB", "GRIB"),
    (b"root\x00", "ROOT"),
    (b"NRRD", "NRRD"),
    (b"ZISRAW", "CZI"),
    (b"#ASDF", "ASDF"),
    (b"\x0e\x03\x13\x01", "HDF4"),
    (b"HEADER RECORD*******LIBRARY", "SAS XPORT"),
    (b"$FL2", "SPSS"),
    (b"<stata_dta>", "Stata"),
    (b"MATLAB 5.0", "MATLAB"),
    (b"IDAT", "IDAT"),
    (b"Brain Vision", "BrainVision"),
    (b"Investigation Identifier", "ISA-Tab"),
    (b"ONTOLOGY SOURCE REFERENCE", "ISA-Tab"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"age-encryption.org", "an age-encrypted file"),
)


def foreign(head: Head) -> str | None:
    """Return the name of a known format that is not read yet, or None."""
    text = head.plain.removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n\t")
    for start, name in _FOREIGN_STARTS:
        if text.startswith(start):
            return name
    if re.match(rb"@[^\t\n]+\n[A-Za-z.*\n]+\n\+", text):
        return "FASTQ"
    decoded = decode_text(head.plain)
    return feature_table(decoded[0]) if decoded else None
