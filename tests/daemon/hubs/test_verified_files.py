"""What counts as data, what counts as whole, and what is never written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon.hubs import HubFile, data_set, download
from tunesmith.recipes.data.public_sets import Repository
from tunesmith.recipes.errors import DataError, MachineError


@pytest.mark.parametrize(
    ("path", "unnamed", "named"),
    [
        ("train.jsonl", True, True),
        ("data/train-00000-of-00001.parquet", True, True),
        ("data/TRAIN.JSONL.GZ", True, True),
        ("rows.csv.zst", True, True),
        ("wiki.2023.07.txt", False, True),
        ("README.md", False, True),
        ("load.py", False, False),
        ("model.safetensors", False, False),
        ("rows.pkl.gz", False, False),
        ("all.tar.gz", False, False),
        ("dataset_infos.json", False, False),
        (".cache/rows.jsonl", False, False),
        ("jsonl", False, False),
    ],
)
def test_only_data_files_are_fetched(path: str, unnamed: bool, named: bool) -> None:
    assert (data_set.is_data(path, named=False), data_set.is_data(path, named=True)) == (unnamed, named)


@pytest.mark.parametrize("path", ["../a.jsonl", "/etc/a.jsonl", "a/../../b.jsonl", "a\\b.jsonl", "a\0.jsonl"])
def test_paths_that_leave_the_folder_are_refused(path: str) -> None:
    with pytest.raises(DataError) as refused:
        data_set.chosen([HubFile(path, 1)], Repository("owner/name"))
    assert refused.value.code == "unsafe_path"


@pytest.mark.parametrize("path", ["", ".", "a/", "a//b", "./a", "a\nb", "a\x7f", ".partial/a"])
def test_names_that_cannot_be_are_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        download.refuse_unsafe("owner/name", [HubFile(path, 1)])
    assert refused.value.code == "unsafe_path"


def test_a_name_that_is_listed_twice_is_refused() -> None:
    with pytest.raises(DataError):
        download.refuse_unsafe("owner/name", [HubFile("a", 1), HubFile("a", 2)])


@given(content=st.binary(max_size=64), changed=st.binary(max_size=64))
def test_other_bytes_never_pass_for_the_listed_ones(
    content: bytes, changed: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "file"
    path.write_bytes(changed)
    sha256 = hashlib.sha256(content).hexdigest()
    git_sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    for file in (HubFile("file", len(content), sha256), HubFile("file", len(content), git_sha1=git_sha1)):
        assert (download.damage(path, file) == "") == (changed == content)


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="needs") as refused:
        download.refuse_full_disk(tmp_path, 1 << 62)
    assert refused.value.code == "disk_full" and "--to" in refused.value.hint
