"""netCDF-4: HDF5 with the netCDF library's conventions for dimensions, read and restored as HDF5.

Dimensions come from dimension scales and, for coordinates of several dimensions, from the library's
ids; scales that only stand for a dimension are no fields. The skeleton keeps ids, creation order,
unlimited dimensions, user-defined types and typed attributes, so that the netCDF library reads a
restored file as it read the source.
"""

from pathlib import Path
from typing import Any

from ....model.dataset import Dataset
from ....ports import ByteSource, Decoder, RestoreSource
from ...containers import hdf5_decoder
from ...containers.hdf5 import Tree
from ...containers.hdf5_describe import Description
from .classic import modality_of


def open_version4(source: ByteSource) -> Decoder:
    """Return the decoder of a netCDF-4 file."""
    return hdf5_decoder.Hdf5Decoder(source, _facts, hdf5_decoder.no_rules, netcdf=True)


def _facts(tree: Tree, found: Description) -> Dataset:
    attributes: dict[str, Any] = found.groups.get("", {})
    modality, family = modality_of({field.name for field in found.fields}, attributes)
    return Dataset(
        format="NetCDF",
        modality=modality,
        data_type=family,
        fields=found.fields,
        groups=found.groups,
        carried=hdf5_decoder.CARRIED,
        findings=found.findings,
        witnesses=found.witnesses,
        source_compression=found.compression,
    )


def write_version4(package: RestoreSource, target: Path) -> None:
    """Write the skeleton and its values."""
    hdf5_decoder.write(package, target, netcdf=True)
