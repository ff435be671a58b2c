"""Schemas, checksum lists and metadata: what is understood, and where what is wrong is said to be."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.model.checksums import (
    Digester,
    ExpectedDigest,
    judge_checksums,
    parse_checksums,
    wanted,
)
from customer_data_treatment.model.metadata import (
    SPDX,
    is_persistent,
    nothing_said,
    orcid_of,
    parse_metadata,
)
from customer_data_treatment.model.requirements import Requirements, read_requirements
from customer_data_treatment.model.standards import REQUIREMENTS, Stated, standards_met
from customer_data_treatment.model.table_schema import parse_schema
from customer_data_treatment.model.verdict import CheckResult
from tests.corpus_path import CORPUS

# schemas


def _never(name: str) -> bytes:
    raise AssertionError(name)


def _schema(document: Any) -> Any:
    return parse_schema(json.dumps(document).encode(), "s.json", beside=_never)


def test_a_table_schema_is_understood() -> None:
    (table,) = _schema(
        {
            "fields": [
                {"name": "id", "type": "string", "constraints": {"required": True, "unique": True}},
                {
                    "name": "age",
                    "type": "integer",
                    "constraints": {"minimum": 0, "maximum": "120"},
                    "unit": "a",
                },
                {
                    "name": "when",
                    "type": "date",
                    "format": "%d/%m/%Y",
                    "constraints": {"minimum": "2020-01-01"},
                },
                {"name": "ok", "type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]},
                {"name": "mail", "type": "string", "format": "email", "constraints": {"required": False}},
                {
                    "name": "x",
                    "type": "number",
                    "missingValues": ["-99"],
                    "constraints": {"exclusiveMinimum": 1},
                },
                {"name": "c", "constraints": {"enum": ["a", 2, True]}},
            ],
            "missingValues": ["", "NA"],
            "primaryKey": "id",
            "foreignKeys": [{"fields": "c", "reference": {"resource": "codes", "fields": ["code"]}}],
        }
    )
    by = {column.name: column for column in table.columns}
    assert (by["id"].required, by["id"].unique, table.key) == (True, True, ("id",))
    assert (by["age"].minimum, by["age"].maximum, by["age"].units, by["age"].missing_values) == (
        0,
        120,
        "a",
        ("", "NA"),
    )
    assert (by["when"].formats, by["when"].minimum) == (("%d/%m/%Y",), "2020-01-01")
    assert by["ok"].words == (("ja",), ("nein",))
    assert by["mail"].optional and by["mail"].pattern and not by["id"].optional
    assert (by["x"].minimum, by["x"].exclusive, by["x"].missing_values) == (1, (True, False), ("-99",))
    assert by["c"].enum == ("a", "2", "true")
    assert (table.foreign_keys[0].table, table.foreign_keys[0].references) == ("codes", ("code",))


def test_packages_and_resources(tmp_path: Path) -> None:
    inner = {"fields": [{"name": "a"}]}
    assert [t.name for t in _schema({"resources": [{"name": "one", "schema": inner}, {"name": "no"}]})] == ["one"]
    assert _schema({"name": "r", "path": "r.csv", "schema": inner})[0].name == "r"
    (tmp_path / "inner.json").write_text(json.dumps(inner))
    outer = tmp_path / "datapackage.json"
    outer.write_text(json.dumps({"resources": [{"name": "one", "schema": "inner.json"}]}))
    read = read_requirements(schema=outer)
    assert read.tables[0].columns[0].name == "a" and read.origins == {"schema": "datapackage.json"}
    outer.write_text(json.dumps({"resources": [{"name": "one", "schema": "../inner.json"}]}))
    with pytest.raises(CustomerError, match="not in its own folder"):
        read_requirements(schema=outer)
    (tmp_path / "s.yaml").write_text("fields:\n  - name: a\n    type: date\n    constraints: {minimum: 2020-01-01}\n")
    assert read_requirements(schema=tmp_path / "s.yaml").tables[0].columns[0].minimum == "2020-01-01"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"fields": [\n {"name": "a"},\n {"name" }]}', "line 3"),
        ('{"fields": [{"name": "a"},\n {"name": "a"}]}', "s.json"),
        ('{"a": 1,\n "a": 2}', "line 2"),
        ("[]", "line 1"),
        ("{}", "line 1"),
        ('{"fields": []}', "s.json"),
        ('{"fields": [{"type": "string"}]}', "field 1"),
        ('{"fields": [{"name": "a", "type": "text"}]}', "field 1 (a)"),
        ('{"fields": [{"name": "a", "constraints": {"pattern": "("}}]}', "field 1 (a)"),
        ('{"fields": [{"name": "a", "type": "integer", "constraints": {"minimum": "x"}}]}', "field 1 (a)"),
        ('{"fields": [{"name": "a", "constraints": {"enum": []}}]}', "field 1 (a)"),
        ('{"fields": [{"name": "a", "constraints": {"required": "yes"}}]}', "field 1 (a)"),
        ('{"fields": [{"name": "a", "constraints": {"minLength": -1}}]}', "field 1 (a)"),
        ('{"fields": [{"name": "a"}], "primaryKey": ["b"]}', "s.json"),
        ('{"fields": [{"name": "a"}], "foreignKeys": [{"fields": "a"}]}', "s.json"),
        ('{"fields": [{"name": "a"}], "missingValues": "NA"}', "missingValues"),
        ('{"resources": [{"name": "x"}]}', "s.json"),
        ('{"fields": [\n\n"\xff"]}', "line 3"),
        ("[" * 100_000, "line 1"),
        ('{"fields": [{"name": "a", "constraints": {"maximum": 1' + "0" * 5000 + "}}]}", "line 1"),
    ],
)
def test_a_bad_schema_is_refused_by_its_place(text: str, where: str) -> None:
    with pytest.raises(CustomerError) as refused:
        parse_schema(text.encode("latin-1"), "s.json", beside=_never)
    assert refused.value.code == "bad-schema" and where in refused.value.where, refused.value.line()


_HEAD = (
    '"Variable / Field Name","Form Name","Section Header","Field Type","Field Label",'
    '"Choices, Calculations, OR Slider Labels","Field Note","Text Validation Type OR Show Slider Number",'
    '"Text Validation Min","Text Validation Max",Identifier?,'
    '"Branching Logic (Show field only if...)","Required Field?"\n'
)


def _dictionary(*rows: str) -> Any:
    return parse_schema((_HEAD + "\n".join(rows)).encode(), "d.csv", beside=_never)[0]


def test_a_redcap_dictionary_is_understood() -> None:
    table = _dictionary(
        "record,base,,text,Record,,,,,,,,",
        "age,base,,text,Age,,,integer,0,120,,,y",
        "dob,base,,text,Born,,,date_dmy,1900-01-01,,y,,y",
        'preg,base,,yesno,Pregnant?,,,,,,,"[sex] = ""1""",y',
        'sex,base,,radio,Sex,"0, male | 1, female",,,,,,,',
        'sym,more,,checkbox,Symptoms,"1, cough | -9, none",,,,,,,y',
        "note,more,,descriptive,Hello,,,,,,,,",
        "pain,more,,slider,Pain,,,,,,,,",
        "bmi,more,,calc,BMI,[a]/[b],,,,,,,",
    )
    by = {column.name: column for column in table.columns}
    assert table.key == ("record",) and "redcap_event_name" in table.key_companions
    assert by["record"].required and by["record"].asked_where is None
    assert (by["age"].type, by["age"].minimum, by["age"].maximum, by["age"].required) == (
        "integer",
        0,
        120,
        True,
    )
    assert by["age"].asked_where == "base_complete"
    assert (by["dob"].type, by["dob"].minimum, by["dob"].identifier) == ("date", "1900-01-01", True)
    assert by["preg"].optional and not by["preg"].required
    assert by["sex"].enum == ("0", "1", "male", "female") and not by["sex"].required
    assert {"sym___1", "sym____9", "more_complete", "base_complete"} <= by.keys() and "note" not in by
    assert (by["pain"].minimum, by["pain"].maximum, by["bmi"].type) == (0, 100, "any")


def test_the_api_names_of_a_dictionary_are_understood() -> None:
    head = (
        "field_name,form_name,section_header,field_type,field_label,select_choices_or_calculations,field_note,"
        "text_validation_type_or_show_slider_number,text_validation_min,text_validation_max,identifier,"
        "branching_logic,required_field\n"
    )
    table = parse_schema((head + "a,f,,text,A,,,number,,,,,y\n").encode(), "d.csv", beside=_never)[0]
    assert table.columns[0].name == "a" and table.columns[0].type == "number"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("a,f,,text", "line 3"),
        ("a b,f,,text,A,,,,,,,,", "line 3"),
        ("a,f,,telepathy,A,,,,,,,,", "line 3"),
        ("a,f,,radio,A,yes,,,,,,,", "line 3"),
        ("a,f,,text,A,,,integer,low,,,,", "line 3"),
        ('a,f,,text,"A,,,,,,,,', "line 3"),
        ("r,f,,text,A,,,,,,,,", "d.csv"),
    ],
)
def test_a_bad_dictionary_is_refused_by_its_line(row: str, line: str) -> None:
    with pytest.raises(CustomerError) as refused:
        _dictionary("r,f,,text,R,,,,,,,,", row)
    assert refused.value.code == "bad-schema" and line in refused.value.where


@given(st.binary(max_size=300), st.sampled_from(["s.json", "s.yaml", "list.md5", "m.json"]))
def test_nothing_but_our_own_errors_leaves_the_parsers(raw: bytes, name: str) -> None:
    for parse in (
        lambda: parse_schema(raw, name, beside=_never),
        lambda: parse_schema(_HEAD.encode() + raw, name, beside=_never),
        lambda: parse_checksums(raw, name),
        lambda: parse_metadata(raw, name),
    ):
        try:
            parse()
        except CdtError as error:
            assert error.code in ("bad-schema", "bad-checksums", "bad-metadata")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["fields", "name", "type", "constraints", "resources", "schema", "primaryKey", "creators", "license", "dates", "orcid", "minimum", "enum", "missingValues"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(_JSON)
def test_any_json_is_understood_or_refused(document: Any) -> None:
    raw = json.dumps(document).encode()
    for parse in (
        lambda: parse_schema(raw, "s.json", beside=lambda name: b"{}"),
        lambda: parse_metadata(raw, "m.json"),
    ):
        try:
            parse()
        except CustomerError as error:
            assert error.where


# checksums

_MD5, _SHA1, _SHA256, _SHA512 = "0" * 32, "a" * 40, "B" * 64, "c" * 128


def test_every_style_of_list_is_understood() -> None:
    text = (
        "# made today\n"
        f"{_MD5}  a.txt\n"
        f"{_SHA1} *dir/b.bin\r\n"
        f"; also\n\n{_SHA256}  ./c  d.txt\n"
        f"\\{_MD5}  odd\\\\na\\nme\n"
        f"SHA512 (x (1).gz) = {_SHA512}\n"
        f"BLAKE2b (y) = {_SHA512}\n"
        f"{_MD5}\tw\\in.txt\n"
    )
    found = parse_checksums(text.encode(), "list.txt")
    assert [(e.file, e.algorithm) for e in found] == [
        ("a.txt", "md5"),
        ("dir/b.bin", "sha1"),
        ("c  d.txt", "sha256"),
        ("odd\\na\nme", "md5"),
        ("x (1).gz", "sha512"),
        ("y", "blake2b"),
        ("w/in.txt", "md5"),
    ]
    assert (found[2].digest, found[2].line) == ("b" * 64, 6)
    assert parse_checksums(f"{_SHA512}  a".encode(), "B2SUMS")[0].algorithm == "blake2b"
    assert parse_checksums(f"{_MD5}\n".encode("utf-16"), "a.md5") == (ExpectedDigest("", "md5", _MD5, 1),)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", "line 1"),
        (b"# only a comment\n", "line 1"),
        (f"{_MD5}  a\nhello\n".encode(), "line 2"),
        (f"{_MD5[:-1]}  a\n{_MD5}  b".encode(), "line 1"),
        (f"{_MD5}  a\n{'1' * 32}  a\n".encode(), "line 2"),
        (f"MD4 (a) = {_MD5}\n".encode(), "line 1"),
        (f"SHA256 (a) = {_MD5}\n".encode(), "line 1"),
        (f"{_MD5}  a\n".encode() + b"\xff\xfe\xfd", "line 2"),
    ],
)
def test_a_bad_list_is_refused_by_its_line(text: bytes, line: str) -> None:
    with pytest.raises(CustomerError) as refused:
        parse_checksums(text, "list.md5")
    assert refused.value.code == "bad-checksums" and line in refused.value.where


@pytest.mark.parametrize("tool", ["md5sum", "sha1sum", "sha256sum", "sha512sum", "b2sum"])
@pytest.mark.parametrize("style", [[], ["-b"], ["--tag"]])
def test_what_the_tools_write_is_kept_by_the_files_they_read(tmp_path: Path, tool: str, style: list[str]) -> None:
    files = {"a.txt": b"one", "sub/b b.bin": b"two" * 1000, "odd\nname": b"3"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    try:
        listed = subprocess.run([tool, *style, *files], cwd=tmp_path, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip(f"{tool} is not installed")
    expected = parse_checksums(listed, f"{tool}.txt" if tool != "b2sum" else "B2SUMS")
    results = _judge(expected, files)
    assert [(r.examined, r.violations) for r in results] == [(3, 0), (3, 0), (3, 0)]
    results = _judge(expected, files | {"a.txt": b"One"})
    assert results[0].violations == 1 and results[0].where[0].startswith("a.txt (")


def _judge(expected: tuple[ExpectedDigest, ...], files: dict[str, bytes], *, folder: bool = True) -> list[CheckResult]:
    source = "delivery" if folder else next(iter(files))
    asked = wanted(expected, files, source)
    actual = {}
    for name, content in files.items():
        digester = Digester(asked.get(name, ()))
        for at in range(0, len(content), 7):
            digester.update(content[at : at + 7])
        actual[name] = digester.hexdigests()
    return list(judge_checksums(expected, actual, source, is_folder=folder))


def _md5(content: bytes, file: str, line: int = 1) -> ExpectedDigest:
    return ExpectedDigest(file, "md5", hashlib.md5(content, usedforsecurity=False).hexdigest(), line)


def test_absent_and_unlisted_files() -> None:
    results = _judge((_md5(b"1", "a"), _md5(b"2", "gone", 2)), {"a": b"1", "new": b"3"})
    assert [(r.name, r.violations, r.kind.value) for r in results] == [
        ("delivered-checksums", 0, "structural"),
        ("listed-files-present", 1, "structural"),
        ("delivered-files-listed", 1, "advisory"),
    ]
    assert results[1].where == ("gone (md5, line 2 of the list)",) and results[2].where == ("new",)


def test_a_list_may_be_made_in_or_above_the_folder() -> None:
    for prefix in ("", "delivery/", "2024/delivery/"):
        assert _judge((_md5(b"1", prefix + "x/a"),), {"x/a": b"1"})[0].examined == 1


def test_a_single_file_is_judged_by_its_own_lines() -> None:
    several = (_md5(b"1", "x/a"), _md5(b"2", "y/a"), _md5(b"3", "b"))
    (kept, listed) = _judge(several, {"a": b"2"}, folder=False)
    assert (kept.examined, kept.violations, listed.violations) == (1, 0, 0)
    assert _judge(several, {"a": b"9"}, folder=False)[0].violations == 2
    assert _judge((_md5(b"1", ""),), {"a": b"1"}, folder=False)[0].violations == 0
    results = _judge((_md5(b"1", "other"),), {"a": b"1"}, folder=False)
    assert [(r.name, r.violations) for r in results][:2] == [
        ("delivered-checksums", 0),
        ("listed-files-present", 1),
    ]


# metadata


def _metadata(**said: Any) -> Any:
    return parse_metadata(json.dumps(said).encode(), "m.json")


def test_metadata_takes_one_form() -> None:
    found = _metadata(
        Title="T",
        description="D",
        creators=[{"name": "J. Carberry", "ORCID": "https://orcid.org/0000-0002-1825-0097"}, "A. Other"],
        licence="cc-by-4.0",
        institution={"name": "I", "ror": "https://ror.org/02mhbdp94"},
        contact="x@example.org",
        keywords="a; b, c",
        identifier=["10.5281/zenodo.1", "https://other"],
        dates={"collected": "2020-01/2021-06"},
    )
    assert found.findings == ()
    assert found.record["title"] == "T" and found.record["license"] == "CC-BY-4.0"
    assert found.record["creators"] == [
        {"name": "J. Carberry", "orcid": "0000-0002-1825-0097"},
        {"name": "A. Other"},
    ]
    assert found.record["keywords"] == ["a", "b", "c"]
    assert found.record["contact"] == {"email": "x@example.org"}
    assert found.record["identifier"] == "10.5281/zenodo.1" and found.record["related"] == ["https://other"]


def test_what_is_missing_or_wrong_is_a_finding() -> None:
    codes = [finding.code for finding in nothing_said().findings]
    assert codes == [
        f"metadata-{word}-missing"
        for word in ("title", "creators", "license", "institution", "contact", "keywords", "description")
    ]
    found = _metadata(
        creators=[{"name": "A", "orcid": "0000-0002-1825-0098"}],
        license="do what you like",
        institution={"name": "I", "ror": "nonsense"},
        contact={"email": "nobody"},
        dates="yesterday",
        colour="blue",
    )
    codes = {finding.code for finding in found.findings}
    assert {
        "metadata-orcid",
        "metadata-licence",
        "metadata-ror",
        "metadata-contact",
        "metadata-date",
        "metadata-unknown",
    } <= codes
    assert found.record["creators"] == [{"name": "A"}] and found.record["institution"] == {"name": "I"}


@pytest.mark.parametrize(
    "said",
    [
        {"creators": [3]},
        {"creators": [{"affiliation": "x"}]},
        {"keywords": 3},
        {"title": ["a"]},
        {"institution": 3},
        {"institution": {"ror": "x"}},
        {"contact": 3},
        {"license": "MIT", "licence": "MIT"},
    ],
)
def test_a_wrong_shape_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(CustomerError) as refused:
        _metadata(**said)
    assert refused.value.code == "bad-metadata" and "m.json" in refused.value.where


def test_yaml_metadata_and_its_faults() -> None:
    found = parse_metadata(b"title: T\ndates:\n  collected: 2020-01-31\n", "m.yml")
    assert found.record["dates"] == {"collected": "2020-01-31"}
    for text, line in (
        (b"title: T\nbad: [1\n", "line 3"),
        (b"a: &x 1\nb: *x\n", "m.yaml"),
        (b"- 1\n", "line 1"),
    ):
        with pytest.raises(CustomerError) as refused:
            parse_metadata(text, "m.yaml")
        assert refused.value.code == "bad-metadata" and line in refused.value.where


@pytest.mark.parametrize(
    "orcid", ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X", "0000-0002-9079-593X"]
)
def test_orcids(orcid: str) -> None:
    assert orcid_of(orcid) == orcid and orcid_of(f"https://orcid.org/{orcid.lower()}") == orcid
    digits = [at for at, letter in enumerate(orcid[:-1]) if letter.isdigit()]
    for at in digits:
        other = orcid[:at] + str((int(orcid[at]) + 1) % 10) + orcid[at + 1 :]
        assert orcid_of(other) is None


def test_licences_are_those_of_spdx() -> None:
    licenses = pytest.importorskip("packaging.licenses")
    for name in SPDX:
        assert licenses.canonicalize_license_expression(name) == name


def test_persistent_identifiers() -> None:
    for good in (
        "10.5281/zenodo.1",
        "https://doi.org/10.1/x".replace("10.1/", "10.1234/"),
        "hdl:1/2",
        "GSE12345",
        "ark:/1/2",
        "https://w3id.org/x",
    ):
        assert is_persistent(good), good
    for bad in ("", "https://example.org/data", "my data"):
        assert not is_persistent(bad), bad


# standards


def test_standards_count_what_is_met() -> None:
    assert [(r["met"], r["of"] > 0) for r in standards_met(Stated())] == [(0, True)] * 3
    facts = frozenset(
        "open-format content-digest provenance manifest metadata-plain units types source-digest software "
        "time-stamped community-format".split()
    )
    said = _metadata(
        title="T", description="D", creators=[{"name": "A", "orcid": "0000-0002-1825-0097"}], license="MIT",
        institution="I", contact="a@b.c", keywords=["k"], identifier="10.1234/x", funding="F", repository="Zenodo",
    )  # fmt: skip
    reports = standards_met(Stated(said.record, facts))
    assert all(report["met"] == report["of"] and report["missing"] == [] for report in reports)
    without = standards_met(Stated(said.record, facts - {"units"}))
    assert [report["of"] - report["met"] for report in without] == [1, 0, 1]
    assert "certif" not in json.dumps(reports).lower()


def test_every_requirement_can_fail_and_be_met_alone() -> None:
    numbers = [(r.standard, r.number, r.text) for r in REQUIREMENTS]
    assert len(set(numbers)) == len(numbers)


# reading


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for word in ("schema", "checksums", "metadata"):
        for path in (tmp_path / "absent", tmp_path):
            with pytest.raises(CustomerError) as refused:
                read_requirements(**{word: path})
            assert refused.value.code == f"bad-{word}" and refused.value.exit_status == 2
    assert read_requirements() == Requirements()


def test_the_corpus_dictionary_is_understood() -> None:
    if CORPUS is None:
        pytest.skip("the corpus of real files is not here")
    read = read_requirements(schema=CORPUS / "clinical" / "REDCapR" / "dictionary.csv")
    assert len(read.tables[0].columns) == 124
