"""mzML for the promise suite: every array type and compression, a text array, missing arrays, a chromatogram."""

import base64
import hashlib
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pynumpress

_NS = "{http://psi.hupo.org/ms/mzml}"
_KINDS = {"<f4": "MS:1000521", "<f8": "MS:1000523", "<i4": "MS:1000519", "<i8": "MS:1000522"}
_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<indexedmzML xmlns="http://psi.hupo.org/ms/mzml"><mzML version="1.1.0" id="größe">
<cvList count="1"><cv id="MS" fullName="PSI-MS" URI="u"/></cvList>
<fileDescription><fileContent><cvParam cvRef="MS" accession="MS:1000580" name="MSn spectrum"/></fileContent>
</fileDescription>
<referenceableParamGroupList count="1"><referenceableParamGroup id="g">
<cvParam cvRef="MS" accession="MS:1000130" name="positive scan"/></referenceableParamGroup>
</referenceableParamGroupList>
<softwareList count="1"><software id="sw" version="1"/></softwareList>
<instrumentConfigurationList count="1"><instrumentConfiguration id="ic"/></instrumentConfigurationList>
<dataProcessingList count="1"><dataProcessing id="dp"/></dataProcessingList>
<run id="run" defaultInstrumentConfigurationRef="ic">
"""


def term(accession: str, name: str, value: Any = "", unit: str = "") -> str:
    units = f' unitName="{unit}"' if unit else ""
    return f'<cvParam cvRef="MS" accession="{accession}" name="{name}" value="{value}"{units}/>'


def binary(accession: str, name: str, values: Any, kind: str, packing: str = "", value: str = "") -> str:
    terms = [term(accession, name, value)]
    if kind == "text":
        data = b"".join(item.encode() + b"\0" for item in values)
        terms.append(term("MS:1001479", "null-terminated ASCII string"))
    elif packing == "linear":
        data = pynumpress.encode_linear(np.asarray(values, "f8"), 1000.0).tobytes()
        terms.append(term("MS:1000523", "64-bit float"))
    else:
        data = np.asarray(values, kind).tobytes()
        terms.append(term(_KINDS[kind], "type"))
    packed = {"": "MS:1000576", "zlib": "MS:1000574", "linear": "MS:1002312"}[packing]
    text = base64.b64encode(zlib.compress(data) if packing == "zlib" else data).decode()
    return (
        f'<binaryDataArray encodedLength="{len(text)}">{"".join(terms)}{term(packed, "compression")}'
        f"<binary>{text}</binary></binaryDataArray>"
    )


def spectrum(number: int, terms: str, arrays: list[str], length: int, after: str = "") -> str:
    listed = f'<binaryDataArrayList count="{len(arrays)}">{"".join(arrays)}</binaryDataArrayList>' if arrays else ""
    return (
        f'<spectrum index="{number}" id="scan={number + 1}" defaultArrayLength="{length}">'
        f'<referenceableParamGroupRef ref="g"/>{terms}{after}{listed}</spectrum>'
    )


def document() -> str:
    """Return the XML with a right index and checksum."""
    mz, intensity = [100.5, 200.25, 300.125], [1.0, 0.0, 7.5]
    level = term("MS:1000511", "ms level", 1) + term("MS:1000580", "MSn spectrum") + term("MS:1000127", "centroid")
    scan = '<scanList count="1"><scan>' + term("MS:1000016", "scan start time", 1.5, "minute") + "</scan></scanList>"
    precursor = (
        '<precursorList count="1"><precursor spectrumRef="scan=1"><selectedIonList count="1"><selectedIon>'
        + term("MS:1000744", "selected ion m/z", 445.34) + term("MS:1000041", "charge state", 2)
        + "</selectedIon></selectedIonList></precursor></precursorList>"
    )  # fmt: skip
    spectra = [
        spectrum(0, level, [binary("MS:1000514", "m/z array", mz, "<f8"),
                            binary("MS:1000515", "intensity array", intensity, "<f4", "zlib")], 3, scan),
        spectrum(1, level.replace('"1"', '"2"', 1), [
            binary("MS:1000514", "m/z array", mz, "<f8", "linear"),
            binary("MS:1000515", "intensity array", intensity, "<f4"),
            binary("MS:1000516", "charge array", [1, 2, 3], "<i4", "zlib"),
            binary("MS:1000786", "non-standard data array", ["a", "", "c"], "text", "", "peak name")], 3, precursor),
        spectrum(2, level, [], 0),
    ]  # fmt: skip
    chromatogram = (
        '<chromatogram index="0" id="TIC" defaultArrayLength="2">'
        + term("MS:1000235", "total ion current chromatogram") + '<binaryDataArrayList count="2">'
        + binary("MS:1000595", "time array", [0.5, 1.5], "<f8", "zlib")
        + binary("MS:1000515", "intensity array", [8.5, np.nan], "<f8") + "</binaryDataArrayList></chromatogram>"
    )  # fmt: skip
    body = _HEAD + f'<spectrumList count="{len(spectra)}" defaultDataProcessingRef="dp">' + "\n".join(spectra)
    body += '</spectrumList><chromatogramList count="1" defaultDataProcessingRef="dp">' + chromatogram
    body += "</chromatogramList></run></mzML>"
    return finished(body)


def finished(body: str) -> str:
    """Return the XML behind which index and checksum were put."""
    raw = body.encode()
    entries = {"spectrum": "", "chromatogram": ""}
    for name in entries:
        at = -1
        while (at := raw.find(f"<{name} ".encode(), at + 1)) >= 0:
            named = raw[raw.index(b'id="', at) + 4 :].split(b'"')[0].decode()
            entries[name] += f'<offset idRef="{named}">{at}</offset>'
    index = "".join(f'<index name="{name}">{text}</index>' for name, text in entries.items())
    body += f'<indexList count="2">{index}</indexList><indexListOffset>{len(raw)}</indexListOffset><fileChecksum>'
    return body + hashlib.sha1(body.encode()).hexdigest() + "</fileChecksum></indexedmzML>\n"


def make(folder: Path) -> Path:
    """Write one indexed file."""
    path = folder / "größe.mzML"
    path.write_text(document(), encoding="utf-8")
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with the standard library, by term names as written in `document`."""
    root = ElementTree.parse(path).getroot()
    spectra = [_row(item) for item in root.iter(f"{_NS}spectrum")]
    chromatograms = [_row(item) for item in root.iter(f"{_NS}chromatogram")]
    names = ("index", "id", "default_array_length", "ms_level", "type", "polarity", "representation")
    names += ("scan_start_time", "precursor_ref", "precursor_mz", "precursor_charge", "mz", "intensity", "charge")
    short = ("index", "id", "default_array_length", "type", "time", "intensity")
    return {
        "spectra": {name: [row.get(name) for row in spectra] for name in (*names, "peak_name")},
        "chromatograms": {name: [row.get(name) for row in chromatograms] for name in short},
    }


def _row(item: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"index": int(item.get("index")), "id": item.get("id")}
    row["default_array_length"] = int(item.get("defaultArrayLength"))
    row["polarity"] = "positive"  # by the referenced group, which every spectrum has
    words = {p.get("name"): p.get("value") for p in item.iter(f"{_NS}cvParam")}
    row["type"] = "MSn spectrum" if "MSn spectrum" in words else "total ion current chromatogram"
    row["representation"] = "centroid"
    row["ms_level"] = int(words["ms level"]) if "ms level" in words else None
    for word, column in (("scan start time", "scan_start_time"), ("selected ion m/z", "precursor_mz")):
        row[column] = float(words[word]) if word in words else None
    row["precursor_charge"] = float(words["charge state"]) if "charge state" in words else None
    for precursor in item.iter(f"{_NS}precursor"):
        row["precursor_ref"] = precursor.get("spectrumRef")
    if item.get("defaultArrayLength") == "0":
        row["mz"] = row["intensity"] = []
    for holder in item.iter(f"{_NS}binaryDataArray"):
        terms = {p.get("accession"): p for p in holder.iter(f"{_NS}cvParam")}
        data = base64.b64decode(holder.find(f"{_NS}binary").text)
        data = zlib.decompress(data) if "MS:1000574" in terms else data
        kind = next((k for k, accession in _KINDS.items() if accession in terms), "")
        if "MS:1002312" in terms:
            values: Any = pynumpress.decode_linear(np.frombuffer(data, "u1")).tolist()
        else:
            values = np.frombuffer(data, kind).tolist() if kind else data.decode().split("\0")[:-1]
        word = next(p.get("name") for p in terms.values() if p.get("name").endswith("array"))
        column = {"m/z array": "mz", "non-standard data array": "peak_name"}.get(word, word.removesuffix(" array"))
        row[column] = values
    return row
