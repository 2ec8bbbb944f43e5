"""Publishing: nothing partial under a final name, and damage is told from what was published."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from tunesmith.daemon import publish
from tunesmith.recipes.errors import JobError, MachineError


def stage_folder(final: Path, text: str) -> None:
    with publish.staging(final) as staged:
        (staged / "deep").mkdir(parents=True)
        (staged / "deep" / "weights.bin").write_text(text)
        publish.publish_folder(staged, final)


def stage_file(final: Path, text: str) -> publish.Published:
    with publish.staging(final) as staged:
        staged.write_text(text)
        return publish.publish_file(staged, final)


def killed(source: str, target: str) -> None:
    raise KeyboardInterrupt


def test_a_published_file_is_recorded_with_size_and_hash(tmp_path: Path) -> None:
    published = stage_file(tmp_path / "model.gguf", "abc")
    assert published.bytes == 3
    assert published.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert publish.verify_file(tmp_path / "model.gguf") == published
    assert sorted(path.name for path in tmp_path.iterdir()) == [publish.MANIFEST, "model.gguf"]


def test_a_kill_before_the_rename_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / "model.gguf"
    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        stage_file(final, "abc")
    assert not final.exists()
    with pytest.raises(MachineError):
        publish.verify_file(final)


def test_a_folder_is_replaced(tmp_path: Path) -> None:
    stage_folder(tmp_path / "model", "old")
    stage_folder(tmp_path / "model", "new")
    publish.verify_folder(tmp_path / "model")
    assert (tmp_path / "model" / "deep" / "weights.bin").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "add", "tear"])
def test_damage_to_a_published_folder_is_found(tmp_path: Path, damage: str) -> None:
    final = tmp_path / "model"
    stage_folder(final, "weights")
    weights, manifest = final / "deep" / "weights.bin", final / publish.MANIFEST
    match damage:
        case "flip":
            weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
        case "truncate":
            weights.write_text("weight")
        case "remove":
            weights.unlink()
        case "add":
            (final / "deep" / "more.bin").write_text("?")
        case "tear":
            manifest.write_bytes(manifest.read_bytes()[:-10])
    with pytest.raises(MachineError) as caught:
        publish.verify_folder(final)
    assert caught.value.code == "corrupt"
    assert caught.value.hint


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".model.staged-1.gguf").write_text("half")
    (tmp_path / ".merged.staged-1").mkdir()
    publish.remove_staged(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_a_killed_process_was_removing_go_and_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / ".epoch.staged-1").write_text("2")
    for name in ("checkpoints", "work-1"):
        (tmp_path / f".{name}.staged-7").mkdir()
        (tmp_path / f".{name}.staged-7" / "left").write_text("half removed")
    (tmp_path / "artifacts").mkdir()
    publish.remove_staged_folders(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".epoch.staged-1", "artifacts"}


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / publish.MANIFEST).write_text(
        '{"format": "tunesmith-manifest", "version": 1, "files": {"../x": {"bytes": 1, "sha256": ""}}}'
    )
    with pytest.raises(MachineError, match="outside"):
        publish.verify_folder(tmp_path)


def test_a_flipped_bit_anywhere_in_a_manifest_is_damage_and_never_a_newer_version(tmp_path: Path) -> None:
    stage_folder(tmp_path / "model", "weights")
    manifest = tmp_path / "model" / publish.MANIFEST
    whole = manifest.read_bytes()
    for place in range(len(whole) * 8):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        manifest.write_bytes(data)
        with pytest.raises(MachineError) as caught:
            publish.verify_folder(tmp_path / "model")
        assert caught.value.code == "corrupt", (place, caught.value.message)


def test_a_manifest_of_a_newer_version_is_refused_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        newer = msgspec.defstruct("Newer", [("files", dict), ("more", str, "x"), ("format", str, publish.FORMAT),
                                            ("version", int, 3), ("sha256", str, "")], frozen=True)  # fmt: skip
        patched.setattr(publish, "Manifest", newer)
        stage_folder(tmp_path / "model", "weights")
    with pytest.raises(MachineError, match="is of version 3, newer than this") as caught:
        publish.verify_folder(tmp_path / "model")
    assert caught.value.code == "newer_version" and "Update" in caught.value.hint


def test_a_manifest_of_the_first_version_is_read(tmp_path: Path) -> None:
    published = stage_file(tmp_path / "a.txt", "abc")
    first = {"files": {"a.txt": {"bytes": 3, "sha256": published.sha256}}, "format": publish.FORMAT, "version": 1}
    (tmp_path / publish.MANIFEST).write_text(json.dumps(first))
    assert publish.verify_file(tmp_path / "a.txt") == published


def test_an_attempt_that_is_over_publishes_nothing(tmp_path: Path) -> None:
    stage_file(tmp_path / "a.txt", "by the first")
    stage_folder(tmp_path / "model", "by the first")
    newest = tmp_path / "epoch"
    newest.write_text("2")
    publish.Fence(newest, 2).check()
    publish.Fence(tmp_path / "no such file", 1).check()
    stale = publish.Fence(newest, 1)
    with pytest.raises(JobError, match="attempt 2 has it now") as caught, publish.staging(tmp_path / "a.txt") as staged:
        staged.write_text("too late")
        publish.publish_file(staged, tmp_path / "a.txt", stale)
    assert caught.value.code == "superseded"
    with pytest.raises(JobError), publish.staging(tmp_path / "model") as staged:
        staged.mkdir()
        publish.publish_folder(staged, tmp_path / "model", stale)
    publish.verify_file(tmp_path / "a.txt")
    publish.verify_folder(tmp_path / "model")
    assert (tmp_path / "a.txt").read_text() == "by the first"
    newest.write_text("two")
    with pytest.raises(MachineError, match="cannot be read"):
        stale.check()
