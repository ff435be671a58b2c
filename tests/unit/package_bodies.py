"""Certificate bodies as real treatments give them, for the report, the terminal and the crate."""

from typing import Any

import numpy as np

INSTANT = "2026-11-24T00:00:00Z"
_METADATA = {
    "title": "Daily reanalysis over the Adriatic, 1 January 2024",
    "creators": [
        {
            "name": "Ada Lovelace",
            "orcid": "0000-0002-1825-0097",
            "affiliation": "Institute of Marine Sciences",
        },
        {"name": "Émile Durand"},
    ],
    "license": "CC-BY-4.0",
    "institution": {"name": "European Data Facility", "ror": "https://ror.org/02f6dcw23"},
    "contact": "data@example.org",
    "keywords": ["temperature", "salinity", "currents"],
}
PLAN: dict[str, Any] = {
    "schema": 1,
    "format": "NetCDF",
    "versions": {"customer-data-treatment": "0.1.0", "numpy": "2.4.1", "pyarrow": "26.0.1", "zarr": "3.1.6"},
    "fields": [],
}
_DIMENSIONS = ("completeness", "consistency", "accuracy", "validity", "reproducibility")


def check(name: str, dimension: str, scope: int, violations: int = 0, **more: Any) -> dict[str, Any]:
    """Return one check of a census, its score 1 - v/N."""
    return {
        "name": name,
        "dimension": dimension,
        "kind": "scored",
        "scope": scope,
        "examined": scope,
        "violations": violations,
        "score": 1 - violations / scope if scope else None,
        "message": f"{name.replace('-', ' ')} ({violations} of {scope})",
        "where": [],
    } | more


def statistics(values: "np.ndarray[Any, Any]") -> dict[str, Any]:
    """Return the statistics of an array as the certificate gives them."""
    numbers = values.astype(float)
    finite = numbers[np.isfinite(numbers)]
    return {
        "count": int(values.size),
        "missing": 0,
        "nan": int(np.isnan(numbers).sum()),
        "positive_infinite": 0,
        "negative_infinite": 0,
        "minimum": float(finite.min()) if finite.size else None,
        "maximum": float(finite.max()) if finite.size else None,
        "mean": float(finite.mean()) if finite.size else 0.0,
        "m2": float(finite.var() * finite.size) if finite.size else 0.0,
        "total": None,
        "distinct": None,
        "distinct_exact": False,
    }


def array_field(name: str, shape: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """Return an exactly stored array field."""
    decoded = int(np.prod(shape)) * 4
    values = np.linspace(0.0, 30.0, 100)
    return {
        "name": name,
        "kind": "array",
        "node": f"data/arrays.zarr/{name}",
        "shape": list(shape),
        "dtype": "float32",
        "units": None,
        "role": "measurement",
        "encoding": {"form": "exact", "codec": "zstd + bitshuffle", "bound_asked": None, "bound": None},
        "bytes_decoded": decoded,
        "bytes_stored": decoded * 2 // 3,
        "fidelity": {"value": 1.0, "error_over_spread": None, "pearson": None, "ks": None, "ssim": None},
        "error": {"max": 0.0, "mean": 0.0, "rms_over_spread": 0.0},
        "statistics": {"before": statistics(values), "after": statistics(values)},
    } | more


def table(name: str, rows: int, columns: int) -> dict[str, Any]:
    """Return a table's own entry; its columns follow it."""
    return {
        "name": name,
        "kind": "table",
        "node": f"data/tables/{name}.parquet",
        "rows": rows,
        "columns": columns,
        "bytes_decoded": rows * columns * 8,
        "bytes_stored": rows * columns * 3,
    }


def column(name: str, **more: Any) -> dict[str, Any]:
    """Return an exactly stored column."""
    dropped = ("shape", "node", "bytes_decoded", "bytes_stored")
    field = {key: value for key, value in array_field(name, (1,)).items() if key not in dropped}
    return field | {"kind": "column"} | more


def packed(field: dict[str, Any], bound: float, fidelity: float) -> dict[str, Any]:
    """Return the same field, stored as packed integers within a bound."""
    return field | {
        "encoding": {"form": "packed", "codec": "zstd + bitshuffle", "bound_asked": "auto", "bound": bound},
        "bytes_stored": field["bytes_decoded"] // 9,
        "fidelity": {
            "value": fidelity,
            "error_over_spread": fidelity + 0.004,
            "pearson": 0.999991,
            "ks": fidelity,
            "ssim": 0.998 if len(field["shape"]) > 1 else None,
        },
        "error": {"max": bound * 0.9997, "mean": bound * 0.49, "rms_over_spread": 0.0021},
    }


def body(fields: list[dict[str, Any]], checks: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a certificate body around fields and checks, scores computed as DESIGN.md says."""
    dimensions: dict[str, dict[str, Any]] = {}
    for name in _DIMENSIONS:
        own = [c for c in checks if c["dimension"] == name and c["kind"] == "scored" and c["score"] is not None]
        worst = min(own, key=lambda c: c["score"], default=None)
        dimensions[name] = {"score": worst and worst["score"], "check": worst and worst["name"]}
    scores = [entry["score"] for entry in dimensions.values() if entry["score"] is not None]
    score = min(scores) if scores else None
    faithful = [f for f in fields if (f.get("fidelity") or {}).get("value") is not None]
    worst_field = min(faithful, key=lambda f: f["fidelity"]["value"], default=None)
    stored, decoded = (sum(f.get(key, 0) for f in fields) for key in ("bytes_stored", "bytes_decoded"))
    source = int(decoded * 0.8) or 120
    return {
        "schema": 1,
        "issued": INSTANT,
        "product": {"name": "customer-data-treatment", "version": "0.1.0"},
        "source": {
            "name": "adriatic.nc",
            "bytes": source,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015" * 2,
            "files": 1,
        },
        "format": "NetCDF",
        "modality": "remote_sensing",
        "data_type": "environmental",
        "level": "RESEARCH_GRADE",
        "score": score,
        "fidelity": {
            "value": worst_field and worst_field["fidelity"]["value"],
            "field": worst_field and worst_field["name"],
            "requested": 0.99,
        },
        "dimensions": dimensions,
        "gates": {"integrity": None, "structural": True, "fidelity": True, "privacy": None},
        "checks": checks,
        "fields": fields,
        "findings": [],
        "sizes": {
            "source": source,
            "decoded": decoded,
            "stored": stored,
            "papers": 184_213,
            "ratio": stored / source,
        },
        "carried": [],
        "not_checked": [],
        "standards": [],
        "metadata": {},
        "content_sha256": "60303ae22b998861bce3b28f33eec1be" * 2,
    } | more


def grid() -> dict[str, Any]:
    """Return a NetCDF of twelve fields under auto, research grade."""
    units = {
        "thetao": "degC",
        "so": "1e-3",
        "uo": "m s-1",
        "vo": "m s-1",
        "zos": "m",
        "mlotst": "m",
        "chl": "mg m-3",
        "no3": "mmol m-3",
    }
    fields = [
        packed(array_field(name, (24, 10, 253, 280) if name not in ("zos", "mlotst") else (24, 253, 280)), b, f)
        | {"units": units[name]}
        for name, b, f in (
            ("thetao", 0.0021, 0.9934),
            ("so", 0.0013, 0.9951),
            ("uo", 0.00042, 0.9962),
            ("vo", 0.00037, 0.9958),
            ("zos", 0.00019, 0.9971),
            ("mlotst", 0.055, 0.9903),
            ("chl", 0.00071, 0.9912),
        )
    ]
    fields.append(array_field("no3", (24, 10, 253, 280), units=units["no3"]))
    for name, length, unit, role in (
        ("time", 24, "hours since 1950-01-01", "time"),
        ("depth", 10, "m", "coordinate"),
        ("latitude", 253, "degrees_north", "coordinate"),
        ("longitude", 280, "degrees_east", "coordinate"),
    ):
        fields.append(array_field(name, (length,), units=unit, role=role, dtype="float64"))
    checks = [
        check("required-fields-complete", "completeness", 4 * 253),
        check("undeclared-cells-complete", "completeness", 68_006_400, 1_224_115),
        check("dimensions-agree", "consistency", 12),
        check("coordinates-monotonic", "consistency", 4),
        check("valid-range", "accuracy", 17_001_600, 12),
        check("cf-units-known", "validity", 12, 0),
        check("digests-recorded", "reproducibility", 14),
        check("metadata-findable", "reproducibility", 8, 0),
        check("cf-long-name", "validity", 12, 3, kind="advisory"),
    ]
    return body(
        fields,
        checks,
        metadata=_METADATA,
        findings=[
            {
                "code": "missing-cells",
                "severity": "note",
                "message": "1 224 115 of 68 006 400 cells hold no value, most on land",
                "where": "thetao, so, uo, vo, chl, no3",
            },
            {
                "code": "bound-not-reached",
                "severity": "warning",
                "message": "no encoding reaches a fidelity of 0.99, so the field is stored exactly",
                "where": "no3",
            },
            {
                "code": "units-nonstandard",
                "severity": "note",
                "message": "the units are no UDUNITS name",
                "where": "so",
            },
        ],
        carried=[
            {
                "name": "skeleton.nc",
                "bytes": 48_112,
                "description": "groups, attributes and layout of the NetCDF file",
            }
        ],
        not_checked=[
            "values against an independent reanalysis (none was given)",
            "privacy: nothing was asked",
        ],
        standards=[
            {
                "standard": "CF-1.8",
                "met": 17,
                "of": 19,
                "missing": ["standard_name on so", "cell_methods on mlotst"],
            },
            {"standard": "FAIR (machine-checkable)", "met": 8, "of": 8, "missing": []},
        ],
    )


def clinical() -> dict[str, Any]:
    """Return a clinical table of thirty columns with missing cells, exploratory."""
    rows, random = 4_821, np.random.default_rng(7)
    names = ["patient_id", "site", "sex", "date_of_birth", "enrolled", "arm", "consented", "smoker"]
    names += [
        "age",
        "height",
        "weight",
        "systolic",
        "diastolic",
        "heart_rate",
        "temperature",
        "spo2",
        "glucose",
        "hba1c",
    ]
    names += [
        "creatinine",
        "egfr",
        "sodium",
        "potassium",
        "haemoglobin",
        "platelets",
        "crp",
        "troponin",
        "ldl",
        "hdl",
        "outcome",
        "notes",
    ]
    roles = {
        "patient_id": "identifier",
        "site": "code",
        "sex": "code",
        "arm": "code",
        "notes": "text",
        "outcome": "code",
        "date_of_birth": "time",
        "enrolled": "time",
        "consented": "mask",
        "smoker": "mask",
    }
    types = {
        "identifier": "string",
        "code": "dictionary",
        "text": "string",
        "time": "date32",
        "mask": "bool",
        "measurement": "double",
    }
    units = {
        "age": "a",
        "height": "cm",
        "weight": "kg",
        "systolic": "mmHg",
        "diastolic": "mmHg",
        "heart_rate": "1/min",
        "glucose": "mmol/L",
        "hba1c": "%",
    }
    fields = [table("patients", rows, len(names))]
    for name in names:
        role = roles.get(name, "measurement")
        values = random.normal(60, 12, 400)
        stats = statistics(values) | {
            "count": rows,
            "missing": int(random.integers(0, 700)) if role == "measurement" else 0,
        }
        if role != "measurement":
            stats |= {"minimum": None, "maximum": None, "distinct": 3 if role == "code" else None}
        fields.append(
            column(f"patients/{name}", dtype=types[role], units=units.get(name), role=role)
            | {"statistics": {"before": stats, "after": stats}}
        )
    checks = [
        check("required-column:patient_id", "completeness", rows),
        check(
            "required-column:hba1c",
            "completeness",
            rows,
            538,
            message="538 of 4821 rows have no hba1c, which the schema requires",
        ),
        check("undeclared-cells-complete", "completeness", rows * 20, 3_912),
        check("dates-in-order", "consistency", rows, 4),
        check(
            "schema-range:systolic",
            "validity",
            rows,
            31,
            message="31 values of systolic lie outside 60 to 260",
        ),
        check("key-unique:patient_id", "validity", rows, 0, kind="structural"),
        check("digests-recorded", "reproducibility", 30),
    ]
    return body(
        fields,
        checks,
        level="EXPLORATORY",
        format="CSV",
        modality="clinical_records",
        data_type="clinical",
        source={"name": "trial visits (site 3).csv", "bytes": 1_204_551, "sha256": "ab" * 32, "files": 1},
        findings=[
            {
                "code": "missing-required",
                "severity": "error",
                "message": "538 of 4821 rows have no value where the schema requires one",
                "where": "patients/hba1c",
                "remedy": "ask site 3 for the missing results, or declare the column optional",
            },
            {
                "code": "out-of-range",
                "severity": "warning",
                "message": "31 values lie outside 60 to 260",
                "where": "patients/systolic, rows 112, 391, 402 …",
            },
            {
                "code": "metadata-title-missing",
                "severity": "warning",
                "message": "no licence, no contact and no title were given",
                "where": "",
            },
        ],
        gates={"integrity": True, "structural": True, "fidelity": True, "privacy": None},
        not_checked=["accuracy: no declared totals, reference or duplicates to hold the values against"],
        standards=[
            {
                "standard": "FAIR (machine-checkable)",
                "met": 3,
                "of": 8,
                "missing": ["title", "creators", "licence", "institution", "contact"],
            }
        ],
    )


def scan() -> dict[str, Any]:
    """Return a CT image, lossless, larger sources' compression not beaten."""
    pixel = array_field("pixels", (1, 512, 512), dtype="int16", units="HU", bytes_decoded=524_288, bytes_stored=211_044)
    checks = [
        check("required-attributes", "completeness", 31),
        check("pixels-complete", "completeness", 262_144),
        check("geometry-consistent", "consistency", 6),
        check("declared-extremes", "accuracy", 2),
        check("values-fit-bits-stored", "validity", 262_144),
        check("digests-recorded", "reproducibility", 2),
    ]
    return body(
        [pixel],
        checks,
        level="PUBLICATION_READY",
        format="DICOM",
        modality="medical_imaging",
        data_type="imaging",
        source={"name": "CT_small.dcm", "bytes": 525_968, "sha256": "cd" * 32, "files": 1},
        metadata=_METADATA | {"title": "One slice of an abdomen"},
        sizes={
            "source": 525_968,
            "decoded": 524_288,
            "stored": 213_120,
            "papers": 71_002,
            "ratio": 213_120 / 525_968,
        },
        carried=[{"name": "header.dcm", "bytes": 2_076, "description": "every data element but the pixels"}],
        gates={"integrity": None, "structural": True, "fidelity": True, "privacy": None},
    )


def corrupt() -> dict[str, Any]:
    """Return a FITS whose DATASUM differs: not certified, still packaged."""
    image = packed(array_field("SCI", (2048, 2048), units="adu"), 0.25, 0.9923)
    checks = [
        check(
            "fits-datasum",
            "integrity",
            2,
            1,
            kind="structural",
            message="DATASUM of HDU 1 (SCI) differs from its data",
            where=["HDU 1 (SCI)"],
        ),
        check("cells-complete", "completeness", 4_194_304, 12_004),
        check("wcs-consistent", "consistency", 8),
        check("keywords-valid", "validity", 142, 1),
        check("digests-recorded", "reproducibility", 3),
    ]
    return body(
        [image, table("CATALOG", 311, 1), column("CATALOG/mag", units="mag")],
        checks,
        level="NOT_CERTIFIED",
        format="FITS",
        modality="astronomy",
        data_type="astronomy_physics",
        source={"name": "field_0412.fits", "bytes": 16_799_040, "sha256": "ef" * 32, "files": 1},
        gates={"integrity": False, "structural": True, "fidelity": True, "privacy": None},
        findings=[
            {
                "code": "checksum-differs",
                "severity": "error",
                "message": "DATASUM of HDU 1 (SCI) differs: its pixels are not what was written",
                "where": "HDU 1 (SCI)",
                "remedy": "fetch the file again from the archive and compare its SHA-256",
            }
        ],
    )


def nothing() -> dict[str, Any]:
    """Return a source without any field."""
    return body(
        [],
        [],
        level="NOT_CERTIFIED",
        format="HDF5",
        modality="general",
        data_type="general",
        gates={"integrity": None, "structural": None, "fidelity": None, "privacy": None},
        source={"name": "empty.h5", "bytes": 800, "sha256": "00" * 32, "files": 1},
        sizes={"source": 800, "decoded": 0, "stored": 0, "papers": 9_000, "ratio": 0.0},
    )


BODIES = {"grid": grid, "clinical": clinical, "scan": scan, "corrupt": corrupt, "nothing": nothing}
