"""HDF5: every dataset a field under its own path, everything else in a skeleton that restore fills.

Loom, 10x Genomics, GCTX, HDF-EOS5, MINC2, MATLAB 7.3 and strain files are HDF5 with a convention of
names; they are told here for their modality only.
"""

from collections.abc import Callable
from pathlib import Path

from ...model.dataset import Dataset, RuleCount
from ...plugin import FormatCode
from ...ports import ByteSource, Decoder, RestoreSource
from ...vocabulary import CustomerDataType as Family
from ...vocabulary import DataModalityType as Modality
from ..containers import hdf5_decoder, hdf5_matlab
from ..containers.hdf5 import Tree
from ..containers.hdf5_describe import Description

_Names = frozenset[str]
# The first row whose names are all there says what the file is.
_CONVENTIONS: tuple[tuple[Callable[[_Names], bool], Modality, Family], ...] = (
    (
        lambda n: {"matrix", "row_attrs", "col_attrs"} <= n,
        Modality.TRANSCRIPTOMICS,
        Family.MULTI_OMICS,
    ),
    (
        lambda n: {"matrix/indptr", "matrix/barcodes"} <= n,
        Modality.TRANSCRIPTOMICS,
        Family.MULTI_OMICS,
    ),
    (
        lambda n: "0/META/COL" in n and "0/DATA" in n,
        Modality.TRANSCRIPTOMICS,
        Family.MULTI_OMICS,
    ),
    (
        lambda n: "HDFEOS INFORMATION" in n,
        Modality.REMOTE_SENSING,
        Family.ENVIRONMENTAL,
    ),
    (lambda n: "minc-2.0" in n, Modality.MEDICAL_IMAGING, Family.IMAGING),
    (
        lambda n: any("STRAIN" in x.upper() for x in n),
        Modality.PHYSICS,
        Family.ASTRONOMY_PHYSICS,
    ),
)


def _facts(tree: Tree, found: Description) -> Dataset:
    names = frozenset(entry.name for entry in tree.entries)
    modality, family = Modality.GENERAL, Family.GENERAL
    for holds, its_modality, its_family in _CONVENTIONS:
        if holds(names):
            modality, family = its_modality, its_family
            break
    return Dataset(
        format="HDF5",
        modality=modality,
        data_type=family,
        fields=found.fields,
        groups=found.groups,
        carried=hdf5_decoder.CARRIED,
        findings=found.findings,
        witnesses=found.witnesses,
        source_compression=found.compression,
    )


def _rules(decoder: hdf5_decoder.Hdf5Decoder) -> tuple[RuleCount, ...]:
    return hdf5_matlab.rules(decoder.tree)


def _open(source: ByteSource) -> Decoder:
    return hdf5_decoder.Hdf5Decoder(source, _facts, _rules)


def _write(package: RestoreSource, target: Path) -> None:
    hdf5_decoder.write(package, target)


HDF5 = FormatCode(open=_open, write=_write)
