"""Duplicates at the terminal."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import Terminal


def with_pairs(terminal: Terminal, tmp_path: Path) -> None:
    """Two people, each of them twice."""
    file = tmp_path / "people.csv"
    file.write_text("first_name,phone\nAna,+447911123456\nAna,+447911123456\nBo,+447911123457\nBo,+447911123457\n")
    terminal.run("contacts", "import", str(file))


def test_a_group_is_merged_and_the_merge_taken_back(terminal: Terminal, tmp_path: Path) -> None:
    with_pairs(terminal, tmp_path)
    groups = terminal.json("duplicates", "list")["items"]

    done = terminal.json("duplicates", "merge", str(groups[0]["id"]), "--survivor", str(groups[0]["members"][1]["id"]))

    assert done["survivor"]["id"] == groups[0]["members"][1]["id"]
    assert terminal.json("contacts", "list")["total"] == 3
    assert [merge["id"] for merge in terminal.json("merges", "list")] == [done["merge_id"]]
    terminal.run("merges", "undo", str(done["merge_id"]))
    assert terminal.json("contacts", "list")["total"] == 4
    terminal.run("merges", "undo", str(done["merge_id"]), code=1)


def test_a_group_is_dismissed(terminal: Terminal, tmp_path: Path) -> None:
    with_pairs(terminal, tmp_path)
    first, second = terminal.json("duplicates", "list")["items"]

    assert terminal.json("duplicates", "dismiss", str(first["id"])) == {"pairs": 1}

    assert [group["id"] for group in terminal.json("duplicates", "list")["items"]] == [second["id"]]
    assert "+44791112345" in terminal.run("duplicates", "list").stdout


def test_safe_groups_are_counted_first_and_then_merged_as_one(terminal: Terminal, tmp_path: Path) -> None:
    with_pairs(terminal, tmp_path)

    preview = terminal.json("duplicates", "merge-safe", "--preview")
    assert terminal.json("contacts", "list")["total"] == 4
    done = terminal.json("duplicates", "merge-safe")

    assert (preview["groups"], preview["contacts"]) == (2, 4)
    assert (done["state"], done["done"]) == ("done", 2)
    assert terminal.json("contacts", "list")["total"] == 2
    terminal.run("merges", "undo-batch", str(done["batch_id"]))
    assert terminal.json("contacts", "list")["total"] == 4
