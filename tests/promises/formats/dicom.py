"""DICOM for the promise suite: a multi-frame CT with an overlay, a sequence, private elements and a UTF-8 name."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

_NAMED = ("PatientName", "PatientID")


def make(folder: Path) -> Path:
    """Write one file with pydicom."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.4"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "1.2.3.1", "1.2.3.2", "CT"
    made.PatientName, made.PatientID, made.StudyDate = "Müller^Jörg", "P-01", "20240229"
    made.ReferencedImageSequence = [Dataset(), Dataset()]
    for number, item in enumerate(made.ReferencedImageSequence):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.9.{number}"
    made.private_block(0x0011, "CDT TEST", create=True).add_new(0x01, "LO", "größer")
    made.private_block(0x0011, "CDT TEST").add_new(0x02, "OB", b"\0\1\2\3")
    made.private_block(0x0011, "CDT TEST").add_new(0x03, "FD", 0.1)
    made.NumberOfFrames, made.Rows, made.Columns, made.SamplesPerPixel = 3, 7, 11, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept, made.PixelSpacing = "2.5", "-1024", ["0.5", "0.5"]
    made.PixelData = (np.arange(3 * 7 * 11, dtype="<i2") * 5 - 400).tobytes()
    made.add_new(0x60000010, "US", 7)
    made.add_new(0x60000011, "US", 11)
    made.add_new(0x60000040, "CS", "G")
    made.add_new(0x60000050, "SS", [1, 1])
    made.add_new(0x60000100, "US", 1)
    made.add_new(0x60000102, "US", 0)
    made.add_new(0x60003000, "OW", np.packbits(np.arange(77) % 3 == 0, bitorder="little").tobytes())
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "schädel.dcm"
    pydicom.dcmwrite(path, made, enforce_file_format=True)
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read pixels, overlay and every element with pydicom."""
    rows: list[dict[str, Any]] = []
    read = pydicom.dcmread(path)
    _rows(read.file_meta, "", rows)
    _rows(read, "", rows)
    return {
        "pixels": read.pixel_array,
        "overlay_6000": read.overlay_array(0x6000).astype(bool),
        "elements": {name: [row[name] for row in rows] for name in rows[0]},
    }


def _rows(dataset: Dataset, prefix: str, rows: list[dict[str, Any]]) -> None:
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        element = dataset[tag]
        # pydicom decodes the file meta information at once and forgets its lengths.
        length = getattr(raw, "length", 4 if element.VR == "UL" else (len(str(element.value)) + 1) & ~1)
        length = 2 if element.keyword == "FileMetaInformationVersion" else length
        path = f"{prefix}({tag.group:04X},{tag.element:04X})"
        shown = None if element.VR == "SQ" or element.is_empty else _shown(element)
        named = element.VR in ("PN", "UI") or element.keyword in _NAMED
        row = {"path": path, "vr": str(element.VR), "keyword": element.keyword or None, "length": length}
        rows.append({**row, "value": None if named else shown, "identifier": shown if named else None})
        if element.VR == "SQ":
            for number, item in enumerate(element.value, 1):
                _rows(item, f"{path}[{number}].", rows)


def _shown(element: Any) -> str:
    if isinstance(element.value, bytes):
        return f"sha256:{hashlib.sha256(element.value).hexdigest()}"
    values = element.value if element.VM > 1 else [element.value]
    if element.VR == "PN":
        return "\\".join(str(v) for v in values)
    return "\\".join(getattr(v, "original_string", None) or str(v) for v in values)
