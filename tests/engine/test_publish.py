"""Publishing: nothing partial under a final name, and damage is told from what was published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunesmith.daemon import publish
from tunesmith.recipes.errors import MachineError


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


def test_a_kill_before_the_rename_keeps_the_older_folder_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / "model"
    stage_folder(final, "old")
    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        stage_folder(final, "new")
    publish.verify_folder(final)
    assert (final / "deep" / "weights.bin").read_text() == "old"


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


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / publish.MANIFEST).write_text(
        '{"format": "tunesmith-manifest", "version": 1, "files": {"../x": {"bytes": 1, "sha256": ""}}}'
    )
    with pytest.raises(MachineError, match="outside"):
        publish.verify_folder(tmp_path)
