"""A sandbox that goes on in another process."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.support.clock import Clock

from mercuri.sandbox import Sandbox
from mercuri.sandbox.keeping import VERSION, restore, save


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


def test_a_file_of_a_build_whose_values_had_other_fields_is_not_read(tmp_path: Path) -> None:
    file, sandbox = tmp_path / "state", Sandbox(contacts=3)
    save(Sandbox(contacts=20), file)
    state = pickle.loads(file.read_bytes())
    file.write_bytes(pickle.dumps({**state, "version": tuple(name for name in VERSION if name != "refresh_token")}))

    assert not restore(sandbox, file)
    assert len(sandbox.contact_ids()) == 3
