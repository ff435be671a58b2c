"""The file key ring: made once, private, and plain about what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from customer_data_treatment.adapters.key_ring import FileKeyRing
from customer_data_treatment.errors import FacilityError


def test_the_first_use_makes_one_private_key(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "keys"
    old = os.umask(0)
    try:
        key_id = FileKeyRing(folder).current_key_id()
    finally:
        os.umask(old)
    again = FileKeyRing(folder)
    assert again.current_key_id() == key_id and again.key_ids() == (key_id,)
    assert len(again.key(key_id)) == 32
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "current", f"{key_id}.key"]


def test_processes_that_race_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from customer_data_treatment.adapters.key_ring import FileKeyRing;"
        "print(FileKeyRing(Path(sys.argv[1])).current_key_id())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "keys")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in running}) == 1
    assert len(FileKeyRing(tmp_path / "keys").key_ids()) == 1


@pytest.mark.parametrize("what", ["folder", "key", "current"])
def test_a_ring_that_others_may_read_is_refused(tmp_path: Path, what: str) -> None:
    ring = FileKeyRing(tmp_path / "keys")
    key_id = ring.current_key_id()
    path = {"folder": tmp_path / "keys", "key": tmp_path / "keys" / f"{key_id}.key"}.get(
        what, tmp_path / "keys" / "current"
    )
    path.chmod(0o750 if what == "folder" else 0o640)
    with pytest.raises(FacilityError, match="others may read") as caught:
        ring.key(ring.current_key_id())
    assert caught.value.code == "no-key" and "chmod" in caught.value.remedy


def test_a_missing_or_damaged_key_is_named(tmp_path: Path) -> None:
    ring = FileKeyRing(tmp_path / "keys")
    for absent in ("k" + "0" * 24, "../../etc/passwd", ""):
        with pytest.raises(FacilityError) as caught:
            ring.key(absent)
        assert caught.value.code == "no-key" and absent in caught.value.message and caught.value.remedy
    key_id = ring.current_key_id()
    (tmp_path / "keys" / f"{key_id}.key").write_text("00" * 32)
    with pytest.raises(FacilityError, match="damaged"):
        ring.key(key_id)


def test_a_ring_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FacilityError) as caught:
        FileKeyRing(tmp_path / "file" / "keys").current_key_id()
    assert caught.value.exit_status == 7
