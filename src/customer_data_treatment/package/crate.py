"""The package's provenance as an RO-Crate 1.2 and a Process Run Crate 0.5.

Who, what, when, from which bytes, by which software, with which plan; no value of the data. RO-Crate
1.2: https://w3id.org/ro/crate/1.2, Process Run Crate: https://w3id.org/ro/wfrun/process/0.5.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rocrate.model import ContextEntity, DataEntity
from rocrate.rocrate import ROCrate

from ..model.naming import encoded
from .crate_people import Entity, identifier_of, licence_of, people_of, reference
from .wording import asked_bounds, counted_fields, share

FILE_NAME = "ro-crate-metadata.json"
_VERSION = "1.2"
_CRATE = "https://w3id.org/ro/crate"
_PROFILES = {
    f"{_CRATE}/{_VERSION}": ("RO-Crate", _VERSION),
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
}
_ZARR = "https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html"
_HOME = "https://pypi.org/project/customer-data-treatment/"
_PAPERS = {
    "evidence.parquet": (
        "Every chunk's digest, every field's statistics before and after",
        "application/vnd.apache.parquet",
    ),
    "plan.json": (
        "The decisions that were carried out: bounds, codecs, chunk shapes, library versions",
        "application/json",
    ),
    "report.html": ("The report for people, one self-contained page", "text/html"),
    "manifest.json": ("Size and SHA-256 of every file of this package", "application/json"),
    "certificate.json": ("The certificate: level, score and the counts they stand on", "application/json"),
}
# These two are written after the crate, which they digest: listed, their sizes unknown here.
_LATER = ("manifest.json", "certificate.json")
_MEDIA = {
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".xml": "application/xml",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".html": "text/html",
    ".png": "image/png",
    ".zst": "application/zstd",
}
_FORMAT_MEDIA = {
    "CSV": "text/csv",
    "TSV": "text/tab-separated-values",
    "Parquet": "application/vnd.apache.parquet",
    "Arrow": "application/vnd.apache.arrow.file",
    "HDF5": "application/x-hdf5",
    "NetCDF": "application/x-netcdf",
    "FITS": "application/fits",
    "DICOM": "application/dicom",
    "Zarr": "application/vnd.zarr",
    "VCF": "text/x-vcf",
    "mzML": "application/mzML",
}
_FILES_LISTED = 100
_FIELDS_LISTED = 500


def write_crate(
    folder: Path, body: Mapping[str, Any], plan: Mapping[str, Any], metadata: Mapping[str, Any], instant: str
) -> Path:
    """Write ro-crate-metadata.json into a package's folder and return its path.

    `folder` already holds data/, the papers that come before the crate and, for a submission,
    datasets/NAME/. `metadata` may give title, description, creators, license or licence,
    institution, contact, keywords, identifier. `instant` is ISO 8601 in UTC; with equal arguments
    and equal file sizes the bytes are equal.
    """
    crate = ROCrate(version=_VERSION)
    parts = list(_parts(folder, body))
    source = _source(body)
    root = _root(body, metadata, instant)
    people = people_of(metadata)
    software = _software(body, plan)
    for entity in (
        source,
        *people["entities"],
        *people["licence"],
        *software,
        *_profiles(),
        *_measured(body),
    ):
        _add(crate, entity)
    for entity in parts:
        _add(crate, entity)
    # An inner file hangs under its folder; the root names only what no folder does.
    inside = {part["@id"] for entity in parts for part in _listed(entity.get("hasPart"))}
    root["hasPart"] = [reference(entity) for entity in parts if entity["@id"] not in inside]
    action = _action(body, source, parts, software[0], people=people, instant=instant)
    _add(crate, action)
    root |= people["root"] | {"mentions": reference(action), "isBasedOn": reference(source)}
    if names := [reference(entity) for entity in _measured(body)]:
        root["variableMeasured"] = names
    for key, value in root.items():
        crate.root_dataset[key] = _single(value)
    target = folder / FILE_NAME
    document = json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False)
    target.write_bytes(document.encode() + b"\n")
    return target


def _add(crate: ROCrate, entity: Entity) -> None:
    identifier = entity["@id"]
    if crate.get(identifier) is None:
        held = {"File", "Dataset"} & {entity["@type"]} if isinstance(entity["@type"], str) else set()
        kind = DataEntity if held and not identifier.startswith("#") else ContextEntity
        crate.add(kind(crate, identifier, {key: _single(value) for key, value in entity.items() if key != "@id"}))


def _single(value: Any) -> Any:
    """Return the only entry of a list of one, as RO-Crate recommends."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _root(body: Mapping[str, Any], metadata: Mapping[str, Any], instant: str) -> Entity:
    name = body["source"]["name"]
    count = len(counted_fields(body))
    score = "" if body.get("score") is None else f", quality score {share(body['score'])}"
    described = metadata.get("description") or (
        f"The treated package of {name} ({body['format']}, {count} {'field' if count == 1 else 'fields'}): "
        f"{body['level']}{score}. Made and checked by {body['product']['name']} {body['product']['version']}."
    )
    root: Entity = {
        "name": str(metadata.get("title") or f"Treated package of {name}"),
        "description": str(described),
        "datePublished": instant,
        "conformsTo": [{"@id": url} for url in _PROFILES],
    }
    keywords = metadata.get("keywords") or [body["format"], body["modality"], body["data_type"]]
    root["keywords"] = [keywords] if isinstance(keywords, str) else [str(word) for word in keywords]
    if identifier := metadata.get("identifier") or metadata.get("doi"):
        root["identifier"] = str(identifier)
    return root


def _profiles() -> Iterator[Entity]:
    for url, (name, version) in _PROFILES.items():
        yield {"@id": url, "@type": ["CreativeWork", "Profile"], "name": name, "version": version}
    yield {
        "@id": _ZARR,
        "@type": ["CreativeWork", "Profile"],
        "name": "Zarr core specification",
        "version": "3",
    }


def _source(body: Mapping[str, Any]) -> Entity:
    """Describe the bytes that came in; "#" since they are deliberately not part of the package."""
    source = body["source"]
    entity: Entity = {
        "@id": "#source",
        "@type": "Dataset" if source.get("files", 1) != 1 else "File",
        "name": source["name"],
        "description": f"The source as it came, {body['format']}; not part of this package",
    }
    if entity["@type"] == "File":
        entity |= {"localPath": source["name"], "contentSize": str(source["bytes"])}
    else:
        entity["size"] = str(source["bytes"])
    if source.get("sha256"):
        entity["sha256"] = source["sha256"]
    if media := _FORMAT_MEDIA.get(body["format"]):
        entity["encodingFormat"] = media
    return entity


def _parts(folder: Path, body: Mapping[str, Any]) -> Iterator[Entity]:
    for entity in (*_data(folder, body), *_datasets(folder), *_papers(folder)):
        yield _as_sealed(entity) if body.get("sealed") else entity


def _papers(folder: Path) -> Iterator[Entity]:
    for name, (description, media) in _PAPERS.items():
        path = folder / name
        if name not in _LATER and not path.is_file():
            continue
        entity: Entity = {
            "@id": name,
            "@type": "File",
            "name": name,
            "description": description,
            "encodingFormat": media,
        }
        if name not in _LATER:
            entity["contentSize"] = str(path.stat().st_size)
        yield entity


def _as_sealed(entity: Entity) -> Entity:
    """Say of an encrypted file that it is no Zarr, Parquet or HTML to whoever has no key."""
    if entity["@id"] in _LATER or entity["@id"].startswith("datasets/"):
        return entity
    plain = {key: value for key, value in entity.items() if key != "conformsTo"}
    if "encodingFormat" in plain:
        plain["encodingFormat"] = "application/octet-stream"
    return plain | {"description": f"{entity['description']}; encrypted, manifest.json says how"}


def _data(folder: Path, body: Mapping[str, Any]) -> Iterator[Entity]:
    arrays = folder / "data" / "arrays.zarr"
    if arrays.is_dir():
        yield {
            "@id": "data/arrays.zarr/",
            "@type": "Dataset",
            "name": "arrays.zarr",
            "description": "The arrays: Zarr version 3, sharded, core codecs only",
            "encodingFormat": "application/vnd.zarr; version=3",
            "conformsTo": {"@id": _ZARR},
            "size": str(sum(path.stat().st_size for path in arrays.rglob("*") if path.is_file())),
            "hasPart": {"@id": "data/arrays.zarr/zarr.json"},
        }
        top = arrays / "zarr.json"
        yield {
            "@id": "data/arrays.zarr/zarr.json",
            "@type": "File",
            "name": "zarr.json",
            "description": "The arrays' names, shapes, types and attributes, consolidated",
            "encodingFormat": "application/json",
            "contentSize": str(top.stat().st_size if top.is_file() else 0),
        }
    said = {_lies_at(item["name"]): item.get("description", "") for item in body.get("carried", ())}
    rows = {
        field.get("node", ""): field.get("rows") for field in body.get("fields", ()) if field.get("kind") == "table"
    }
    for name, what in (
        ("tables", "The tables, plain Parquet"),
        ("carried", "What the model does not express, as it came"),
    ):
        held = folder / "data" / name
        files = sorted(path for path in held.rglob("*") if path.is_file()) if held.is_dir() else []
        if not files:
            continue
        listed = [_file(folder, path) for path in files[:_FILES_LISTED]]
        for entity in listed:
            inner = entity["name"]
            table = rows.get(f"data/tables/{inner}")
            entity["description"] = said.get(inner.removesuffix(".zst")) or (
                f"A table of {table} rows" if table is not None else what
            )
        rest = f"; {len(files) - len(listed)} more files lie here unlisted" if len(files) > len(listed) else ""
        yield {
            "@id": f"data/{name}/",
            "@type": "Dataset",
            "name": name,
            "description": what + rest,
            "hasPart": [reference(entity) for entity in listed],
        }
        yield from listed


def _lies_at(name: str) -> str:
    """Return where a carried item lies below data/carried, without the suffix of its compression."""
    return "/".join(encoded(part) for part in name.split("/") if part)


def _file(folder: Path, path: Path) -> Entity:
    relative = path.relative_to(folder).as_posix()
    return {
        "@id": identifier_of(relative),
        "@type": "File",
        "name": relative.split("/", 2)[2],
        "encodingFormat": _MEDIA.get(path.suffix.lower(), "application/octet-stream"),
        "contentSize": str(path.stat().st_size),
    }


def _datasets(folder: Path) -> Iterator[Entity]:
    """Refer to the crates of a submission's datasets (RO-Crate 1.2, "Referencing other RO-Crates")."""
    for path in sorted((folder / "datasets").glob("*/")):
        if (path / FILE_NAME).is_file():
            base = f"datasets/{identifier_of(path.name)}/"
            yield {
                "@id": base,
                "@type": "Dataset",
                "name": path.name,
                "description": f"The treated package of {path.name}: crate, manifest, certificate and data",
                "conformsTo": {"@id": _CRATE},
                "hasPart": [{"@id": base + FILE_NAME}],
                "subjectOf": {"@id": base + FILE_NAME},
            }
            yield {
                "@id": base + FILE_NAME,
                "@type": "File",
                "name": FILE_NAME,
                "description": f"The RO-Crate of {path.name}",
                "encodingFormat": "application/ld+json",
                "contentSize": str((path / FILE_NAME).stat().st_size),
            }


def _software(body: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Entity]:
    """Describe the product first, then the libraries that the plan names."""
    product = body["product"]
    libraries = [
        {
            "@id": f"https://pypi.org/project/{name}/{version}/",
            "@type": "SoftwareApplication",
            "name": name,
            "version": str(version),
            "url": f"https://pypi.org/project/{name}/",
        }
        for name, version in sorted((plan.get("versions") or {}).items())
        if name != product["name"]
    ]
    own: Entity = {
        "@id": f"{_HOME}{product['version']}/",
        "@type": "SoftwareApplication",
        "name": product["name"],
        "version": product["version"],
        "url": _HOME,
        "license": {"@id": "https://spdx.org/licenses/Apache-2.0"},
    }
    if libraries:
        own["softwareRequirements"] = [reference(entity) for entity in libraries]
    return [own, *libraries, licence_of("Apache-2.0")]


def _action(
    body: Mapping[str, Any],
    source: Entity,
    parts: list[Entity],
    software: Entity,
    *,
    people: Mapping[str, Any],
    instant: str,
) -> Entity:
    inputs = [reference(source)]
    if any(entity["@id"] == "plan.json" for entity in parts):
        inputs.append({"@id": "plan.json"})
    made = [
        reference(e) for e in parts if e["@id"] != "plan.json" and "/" not in e["@id"].rstrip("/").removeprefix("data/")
    ]
    action: Entity = {
        "@id": "#treatment",
        "@type": "CreateAction",
        "name": f"Treatment of {body['source']['name']}",
        "description": f"Decoded, checked, encoded ({asked_bounds(body)}) and compared; see plan.json",
        "endTime": instant.replace("Z", "+00:00"),  # the spelling that the profile's judge accepts
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": reference(software),
        "object": inputs,
        "result": made,
    }
    if people["agent"]:
        action["agent"] = people["agent"]
    return action


def _measured(body: Mapping[str, Any]) -> Iterator[Entity]:
    """Name the fields and their units, so that a catalogue finds the dataset; never a value."""
    named = [field for field in body.get("fields", ()) if field.get("kind") != "table"]
    for field in named[:_FIELDS_LISTED]:
        entity: Entity = {
            "@id": f"#field-{identifier_of(field['name'])}",
            "@type": "PropertyValue",
            "name": field["name"],
        }
        if field.get("units"):
            entity["unitText"] = str(field["units"])
        yield entity
