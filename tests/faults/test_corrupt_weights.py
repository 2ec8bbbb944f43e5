"""C3: corrupt GGUF and safetensors: refused or read right, and nobody trusts a number in a file."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from serving_child import said

from tunesmith.daemon import publish
from tunesmith.daemon.serving.lines import Ended, Refused
from tunesmith.recipes.errors import MachineError, ModelError
from tunesmith.recipes.models import gguf_config, gguf_header, safetensors

SEEDS = range(int(os.environ.get("TUNESMITH_FAULT_SEED", "0")), int(os.environ.get("TUNESMITH_FAULT_SEED", "0")) + 5)
SHAPES = {"a.weight": (64, 32), "b.weight": (32,), "c.weight": (8, 8, 4)}
Corrupt = Callable[[bytearray, random.Random], bytes]


def safetensors_bytes(header: dict[str, object] | None = None, claimed: int | None = None) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in SHAPES.items():
        size = int(np.prod(shape)) * 4
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header if header is not None else entries).encode()
    return (len(text) if claimed is None else claimed).to_bytes(8, "little") + text + bytes(place)


def gguf_file(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_head_count(2)
    writer.add_token_list([f"token {number}" for number in range(500)])
    writer.add_token_scores([0.5] * 2000)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    for name, shape in SHAPES.items():
        writer.add_tensor(name, np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def changed(name: str, **values: object) -> Corrupt:
    """Of safetensors: the entry of one tensor says something else."""

    def corrupt(content: bytearray, draw: random.Random) -> bytes:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        header[name] |= values
        return safetensors_bytes(header)

    return corrupt


def truncated(content: bytearray, draw: random.Random) -> bytes:
    return bytes(content[: draw.randrange(len(content))])


def zeroed(content: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(len(content) // 2)
    content[start : start + draw.randrange(1, 400)] = bytes(draw.randrange(1, 400))
    return bytes(content)


def bit_flipped(content: bytearray, draw: random.Random) -> bytes:
    content[draw.randrange(min(len(content), 1500))] ^= 1 << draw.randrange(8)
    return bytes(content)


def garbage(content: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(min(len(content), 1000))
    content[start : start + 16] = draw.randbytes(16)
    return bytes(content)


def huge_number(content: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(min(len(content) - 8, 1500))
    content[start : start + 8] = draw.choice((2**63 - 1, 2**64 - 1, 2**40, 2**31)).to_bytes(8, "little")
    return bytes(content)


def longer(content: bytearray, draw: random.Random) -> bytes:
    return bytes(content) + draw.randbytes(draw.randrange(1, 64))


def header_length(claimed: int) -> Corrupt:
    return lambda content, draw: claimed.to_bytes(8, "little") + bytes(content[8:])


EVERYWHERE: dict[str, Corrupt] = {
    "truncated": truncated, "zeroed": zeroed, "bit flipped": bit_flipped, "garbage": garbage, "longer": longer,
    "huge number": huge_number,
}  # fmt: skip
OF_SAFETENSORS: dict[str, Corrupt] = {
    "header of a gigabyte": header_length(2**30),
    "header of all memory": header_length(2**64 - 1),
    "header of nought": header_length(0),
    "offsets behind the end": changed("a.weight", data_offsets=[0, 2**40]),
    "offsets backwards": changed("a.weight", data_offsets=[8192, 0]),
    "negative offsets": changed("a.weight", data_offsets=[-8192, 0]),
    "overlapping": changed("b.weight", data_offsets=[0, 128]),
    "negative shape": changed("a.weight", shape=[-64, -32]),
    "huge shape": changed("a.weight", shape=[2**62, 2**62]),
    "shape of many": changed("a.weight", shape=[1] * 100_000),
    "shape of texts": changed("a.weight", shape=["64", 32]),
    "wrong dtype": changed("a.weight", dtype="F64"),
    "unknown dtype": changed("a.weight", dtype="PICKLE"),
    "no dtype": changed("a.weight", dtype=None),
    "deep header": lambda content, draw: (200_000).to_bytes(8, "little") + b"[" * 100_000 + b"]" * 100_000,
    "not UTF-8": lambda content, draw: bytes(content).replace(b"a.weight", b"\xff.weight"),
    "doubled name": lambda content, draw: bytes(content).replace(b'"b.weight"', b'"a.weight"'),
    "a pickle": lambda content, draw: b"\x80\x04\x95" + bytes(content),
}
CASES = [("safetensors", name, corrupt, seed) for name, corrupt in EVERYWHERE.items() for seed in range(10)]
CASES += [("gguf", name, corrupt, seed) for name, corrupt in EVERYWHERE.items() for seed in range(12)]
CASES += [("safetensors", name, corrupt, 0) for name, corrupt in OF_SAFETENSORS.items()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {"safetensors": safetensors_bytes(), "gguf": gguf_file(folder / "model.gguf").read_bytes()}


def test_there_are_a_hundred_and_fifty() -> None:
    assert len(CASES) >= 150


def test_whole_files_are_read(whole: dict[str, bytes], tmp_path: Path) -> None:
    for kind, content in whole.items():
        (tmp_path / f"model.{kind}").write_bytes(content)
    numbers = {name: int(np.prod(shape)) for name, shape in SHAPES.items()}
    found = safetensors.read(tmp_path / "model.safetensors")
    assert {tensor.name: tensor.numbers for tensor in found} == numbers
    assert {tensor.name: tensor.numbers for tensor in gguf_header.read(tmp_path / "model.gguf")} == numbers
    assert gguf_config.config(tmp_path / "model.gguf")["hidden_size"] == 64
    assert len(gguf_config.templates(tmp_path / "model.gguf")) == 1


@pytest.mark.parametrize(("kind", "name", "corrupt", "seed"), CASES, ids=lambda value: str(value).split(" at ")[0])
def test_it_is_refused_or_read_right(
    kind: str, name: str, corrupt: Corrupt, seed: int, whole: dict[str, bytes], tmp_path: Path
) -> None:
    draw = random.Random(f"{kind} {name} {seed} {SEEDS.start}")
    content = corrupt(bytearray(whole[kind]), draw)
    path = tmp_path / f"model.{kind}"
    path.write_bytes(content)
    print(f"seed {SEEDS.start}: {name}, {len(content)} bytes")
    read = safetensors.read if kind == "safetensors" else gguf_header.read
    try:
        found = read(path)
        if kind == "gguf":
            gguf_config.config(path)
    except ModelError as error:
        assert error.hint and path.name in error.message and len(error.message) < 1000
        return
    assert sum(tensor.bytes for tensor in found) <= len(content)
    if name in OF_SAFETENSORS:
        assert name in ("doubled name",) and content == whole[kind], "this was to be refused"


READ_AND_TELL_PEAK = """
import resource, sys
from pathlib import Path
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import gguf_header, json_file, safetensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in map(Path, sys.argv[1:]):
    read = {".gguf": gguf_header.header, ".json": json_file.read}.get(path.suffix, safetensors.read)
    try:
        read(path)
        sys.exit(f"{path.name} was taken")
    except ModelError as error:
        assert error.hint
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_nothing_is_made_as_large_as_a_file_claims(tmp_path: Path) -> None:
    """Files of a terabyte that take no room on the disk, and claims of all memory."""
    files = []

    def sparse(name: str, head: bytes, size: int = 2**40) -> None:
        path = tmp_path / name
        path.write_bytes(head)
        try:
            os.truncate(path, size)
        except OSError:  # a file system with smaller files
            os.truncate(path, 2**33)
        files.append(str(path))

    sparse("header.safetensors", (90_000_000).to_bytes(8, "little"))
    sparse("fields.gguf", b"GGUF\x03\0\0\0" + (1).to_bytes(8, "little") + (2**60).to_bytes(8, "little"))
    sparse("tensors.gguf", b"GGUF\x03\0\0\0" + (2**60).to_bytes(8, "little") + bytes(8))
    key = (1).to_bytes(8, "little") + b"k"
    one = b"GGUF\x03\0\0\0" + bytes(8) + (1).to_bytes(8, "little") + key
    sparse("text.gguf", one + (8).to_bytes(4, "little") + (2**39).to_bytes(8, "little"))
    sparse("texts.gguf", one + (9).to_bytes(4, "little") + (8).to_bytes(4, "little") + (2**36).to_bytes(8, "little"))
    sparse("list.gguf", one + (9).to_bytes(4, "little") + (0).to_bytes(4, "little") + (2**62).to_bytes(8, "little"))
    sparse("config.json", b'{"a": "')
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_TELL_PEAK, *files], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < 450 * 2**20


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bit_that_flips_in_what_was_published_is_found(seed: int, whole: dict[str, bytes], tmp_path: Path) -> None:
    draw = random.Random(seed)
    for kind, content in whole.items():
        path = tmp_path / f"model.{kind}"
        with publish.staging(path) as staged:
            staged.write_bytes(content)
            publish.publish_file(staged, path)
        publish.verify_file(path)
        spoiled = bytearray(content)
        spoiled[draw.randrange(len(spoiled))] ^= 1 << draw.randrange(8)
        path.write_bytes(spoiled)
        with pytest.raises(MachineError) as refused:
            publish.verify_file(path)
        assert refused.value.code == "corrupt" and refused.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYWHERE)
def test_what_llama_cpp_is_given_ends_at_most_its_own_process(
    name: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Published as it is, so that its hash is right: the child answers with a typed error, or dies alone."""
    draw = random.Random(f"llama {name} {SEEDS.start}")
    path = tmp_path / "model.gguf"
    with publish.staging(path) as staged:
        staged.write_bytes(EVERYWHERE[name](bytearray(whole["gguf"]), draw))
        publish.publish_file(staged, path)
    lines = said(path)
    assert not lines or isinstance(lines[-1], Refused | Ended)
    assert all(not isinstance(line, Refused) or line.hint for line in lines)
