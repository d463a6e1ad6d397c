"""A sandbox that goes on in another process."""

from __future__ import annotations

from pathlib import Path

from tests.support.clock import Clock

from mercuri.sandbox import Sandbox
from mercuri.sandbox.keeping import restore, save


def test_a_kept_sandbox_goes_on_where_it_was(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "state"
    before = Sandbox(contacts=20, now=clock.now)
    made = before.create({"email": "ana@example.org", "firstname": "Ana"})
    before.update(made, {"firstname": "Anna"})
    save(before, file)

    after = Sandbox(now=clock.now)

    assert restore(after, file)
    assert after.contact_ids() == before.contact_ids()
    assert after.contact(made) == before.contact(made)
    after.update(made, {"firstname": "Ana"})
    assert before.contact(made) != after.contact(made)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    save(Sandbox(), tmp_path / "state")

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


def test_no_file_and_a_torn_one_restore_nothing(tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"\x80\x05")
    sandbox = Sandbox(contacts=3)

    assert not restore(sandbox, tmp_path / "none")
    assert not restore(sandbox, tmp_path / "torn")
    assert len(sandbox.contact_ids()) == 3
