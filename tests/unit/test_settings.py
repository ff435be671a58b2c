"""customer_config.yaml: every key of the mission acts or is named, and nothing wrong passes."""

import re
from pathlib import Path

import pytest

from customer_data_treatment import settings
from customer_data_treatment.errors import CustomerError
from customer_data_treatment.settings import KEYS, Settings, load_settings, parse_settings
from tests.corpus_path import CORPUS

MISSIONS = """\
# customer_config.yaml
max_concurrent_requests: 16
max_memory_usage_gb: 512
enable_gpu_acceleration: true
enable_quantum_optimization: true
enable_federated_learning: true
privacy_by_default: true

quality_thresholds:
  minimum_quality_score: 0.95
  target_compression_ratio: 0.3

security_settings:
  encryption_algorithm: "AES-256-GCM"
  key_rotation_days: 30
  audit_all_operations: true

performance_tuning:
  gpu_memory_fraction: 0.8
  cpu_thread_pool_size: 32
  disk_cache_size_gb: 100
"""


def test_the_missions_file_is_read_whole() -> None:
    found = parse_settings(MISSIONS.encode())
    assert (found.max_concurrent_requests, found.max_memory_usage_gb, found.privacy_by_default) == (16, 512, True)
    assert found.quality_thresholds == settings.QualityThresholds(0.95, 0.3)
    assert found.security_settings == settings.SecuritySettings("AES-256-GCM", 30, True)
    assert found.performance_tuning == settings.PerformanceTuning(0.8, 32, 100)
    assert found.not_built == (
        "enable_gpu_acceleration",
        "enable_quantum_optimization",
        "security_settings.key_rotation_days",
        "security_settings.audit_all_operations",
        "performance_tuning.gpu_memory_fraction",
        "performance_tuning.disk_cache_size_gb",
    )


@pytest.mark.skipif(CORPUS is None, reason="the mission's text is not here")
def test_our_copy_is_the_missions_own() -> None:
    assert CORPUS is not None
    text = (CORPUS.parent / "mission.txt").read_text("utf-8", "replace")
    block = re.search(r"```yaml\n(# customer_config\.yaml\n.*?)```", text, re.DOTALL)
    assert block is not None and parse_settings(block[1].encode()) == parse_settings(MISSIONS.encode())


def test_no_file_means_defaults_and_false_switches_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CDT_CONFIG", raising=False)
    assert load_settings() == Settings()
    assert parse_settings(b"").not_built == ()
    assert parse_settings(b"enable_gpu_acceleration: false\nsecurity_settings:\n").not_built == ()


def test_named_file_then_environment_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, number in (("named.yaml", 1), ("environment.yaml", 2), ("customer_config.yaml", 3)):
        (tmp_path / name).write_text(f"max_concurrent_requests: {number}\n")
    monkeypatch.setenv("CDT_CONFIG", str(tmp_path / "environment.yaml"))
    assert load_settings(tmp_path / "named.yaml").max_concurrent_requests == 1
    assert load_settings().max_concurrent_requests == 2
    monkeypatch.delenv("CDT_CONFIG")
    assert load_settings().max_concurrent_requests == 3
    for missing in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(CustomerError) as caught:
            load_settings(missing)
        assert caught.value.code == "bad-configuration" and caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("written", "named", "allowed"),
    [
        ("max_concurent_requests: 3", "max_concurent_requests", "max_concurrent_requests"),
        ("quality_thresholds: {minimum: 1}", "quality_thresholds.minimum", "minimum_quality_score"),
        ("max_concurrent_requests: 0", "max_concurrent_requests", "from 1 to"),
        ("max_concurrent_requests: 2.5", "max_concurrent_requests", "whole number"),
        ("max_concurrent_requests: true", "max_concurrent_requests", "whole number"),
        ("max_memory_usage_gb: -1", "max_memory_usage_gb", "above 0"),
        ("max_memory_usage_gb: .nan", "max_memory_usage_gb", "above 0"),
        ("max_memory_usage_gb: .inf", "max_memory_usage_gb", "above 0"),
        ("max_memory_usage_gb:", "max_memory_usage_gb", "above 0"),
        ("privacy_by_default: maybe", "privacy_by_default", "true or false"),
        ("quality_thresholds: {minimum_quality_score: 95}", "quality_thresholds.minimum_quality_score", "from 0 to 1"),
        ("quality_thresholds: {target_compression_ratio: 0}", "target_compression_ratio", "above 0, at most 1"),
        ("security_settings: {encryption_algorithm: DES}", "encryption_algorithm", "AES-256-GCM"),
        ("security_settings: {key_rotation_days: 0}", "key_rotation_days", "from 1"),
        ("performance_tuning: {gpu_memory_fraction: 1.5}", "gpu_memory_fraction", "at most 1"),
        ("performance_tuning: 3", "performance_tuning", "cpu_thread_pool_size"),
        ("privacy_by_default: true\nprivacy_by_default: false", "privacy_by_default", "keep one"),
        ("[1, 2]", "no keys", "KEY: VALUE"),
        ("a: [", "not YAML", "KEY: VALUE"),
        ("{[1]: 2}", "", "KEY: VALUE"),
        ("!!python/object/apply:os.system ['true']", "not YAML", "KEY: VALUE"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(written: str, named: str, allowed: str) -> None:
    with pytest.raises(CustomerError) as caught:
        parse_settings(written.encode(), "here.yaml")
    assert caught.value.code == "bad-configuration"
    assert named in caught.value.message and allowed in caught.value.remedy and "here.yaml" in caught.value.where


def test_every_key_of_the_table_is_a_setting() -> None:
    for section, keys in KEYS.items():
        holder = getattr(Settings(), section) if section else Settings()
        assert all(hasattr(holder, key) for key in keys)
