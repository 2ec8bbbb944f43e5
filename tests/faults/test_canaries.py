"""A1: canaries: model folders with code in every place that can hold some. Run, it would write a file: none does."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import pytest
import tiny_model
from serving_child import said

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.requests import Chat
from tunesmith.daemon.serving.lines import Ended, Line, Refused
from tunesmith.recipes import spec
from tunesmith.recipes.data import limited
from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.recipes.data.checking.preview import preview
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import vetted

ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
PICKLES = (
    "pytorch_model.bin", "optimizer.pt", "training_args.bin", "model.pkl", "model.pth", "model.ckpt", "scheduler.pt",
    "rng_state.pth", "adapter_model.bin", "tokenizer.pkl", "model.joblib", "consolidated.00.pth",
)  # fmt: skip
MODULES = ("modeling_evil.py", "configuration_evil.py", "tokenization_evil.py", "handler.py", "sitecustomize.py",
           "__init__.py", "conftest.py", "custom_generate/generate.py")  # fmt: skip
AUTO_MAP = {
    "AutoConfig": "configuration_evil.EvilConfig", "AutoModelForCausalLM": "modeling_evil.EvilModel",
    "AutoTokenizer": ["tokenization_evil.EvilTokenizer", None], "AutoModel": "somebody/else--modeling_evil.EvilModel",
}  # fmt: skip


class Writes:
    """Unpickled, it writes the file."""

    def __init__(self, canary: Path, name: str) -> None:
        self.command = f"open({str(canary / name)!r}, 'w').close()"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (self.command,)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def canaries(tmp_path: Path) -> Path:
    folder = tmp_path / "canaries"
    folder.mkdir()
    return folder


def change(path: Path, **values: object) -> None:
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(found | values), "utf-8")


@pytest.fixture
def hostile(tiny: Path, tmp_path: Path, canaries: Path) -> Path:
    """The tiny model, which works, with code beside it under every name and in every setting."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for name in PICKLES:
        (folder / name).write_bytes(pickle.dumps(Writes(canaries, name)))
    for name in MODULES:
        (folder / name).parent.mkdir(exist_ok=True)
        written = f"open({str(canaries / name.replace('/', '-'))!r}, 'w').close()\n"
        (folder / name).write_text(
            f"{written}class EvilConfig: pass\nclass EvilModel: pass\nclass EvilTokenizer: pass\n"
        )
    elsewhere = {"_name_or_path": "/etc", "trust_remote_code": True, "transformers_weights": "pytorch_model.bin"}
    change(
        folder / "config.json", auto_map=AUTO_MAP, custom_pipelines={"text": {"impl": "handler.Evil"}},
        attn_implementation="somebody/kernels", vision_tower="somebody/else", **elsewhere,
    )  # fmt: skip
    change(folder / "tokenizer_config.json", auto_map=AUTO_MAP, tokenizer_file="/etc/passwd", trust_remote_code=True)
    change(folder / "generation_config.json", custom_generate="custom_generate", odd={"a": [1]}, eos_token_id=2)
    change(folder / "adapter_config.json", base_model_name_or_path="/etc", auto_mapping=AUTO_MAP, peft_type="LORA")
    return folder


def ran(canaries: Path) -> list[str]:
    return sorted(path.name for path in canaries.iterdir())


def test_the_canaries_would_sing(hostile: Path, canaries: Path) -> None:
    """The test sees what it is to see."""
    pickle.loads((hostile / PICKLES[0]).read_bytes())
    subprocess.run([sys.executable, str(hostile / MODULES[0])], check=True)
    assert ran(canaries) == sorted([PICKLES[0], MODULES[0]])


def test_the_libraries_are_shown_neither_code_nor_where_it_is(hostile: Path, tmp_path: Path, canaries: Path) -> None:
    view = tmp_path / "view"
    said = "\n".join(vetted.view(hostile, view))
    assert all(word in said for word in ("auto_map", "modeling_evil.py", "custom_generate", "never run"))
    shown = {path.name for path in view.iterdir()}
    assert shown <= {*vetted.SETTINGS, *vetted.FILES, "model.safetensors"} and "tokenizer.json" in shown
    everything = "".join((view / name).read_text("utf-8") for name in shown & set(vetted.SETTINGS))
    for word in ("auto_map", "evil", "/etc", "somebody", "trust_remote_code", "transformers_weights", "odd"):
        assert word not in everything
    assert json.loads((view / "generation_config.json").read_text())["eos_token_id"] == 2
    assert vetted.view(hostile, view)  # made again over the old one
    assert ran(canaries) == []


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"])
def test_a_link_out_of_the_folder_is_refused(name: str, hostile: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes((hostile / name).read_bytes())
    (hostile / name).unlink()
    (hostile / name).symlink_to("../secret")
    with pytest.raises(ModelError) as refused:
        vetted.view(hostile, tmp_path / "view")
    assert refused.value.code == "model_link" and refused.value.hint


def test_links_within_a_hub_s_cache_are_followed(tiny: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--x--y"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for path in tiny.iterdir():
        (repository / "blobs" / path.name).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    assert vetted.view(snapshot, tmp_path / "view") == []
    assert (tmp_path / "view" / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_pickle_under_a_harmless_name_is_a_damaged_file(
    name: str, hostile: Path, tmp_path: Path, canaries: Path
) -> None:
    (hostile / name).write_bytes(pickle.dumps(Writes(canaries, name)))
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))
    with pytest.raises(TunesmithError) as refused:
        vetted.view(hostile, tmp_path / "view")
        preview(str(tmp_path / "rows.jsonl"), str(hostile))
    assert refused.value.hint
    assert ran(canaries) == []


def test_a_pipe_is_not_waited_for(hostile: Path, tmp_path: Path) -> None:
    import os

    (hostile / "config.json").unlink()
    os.mkfifo(hostile / "config.json")
    with pytest.raises(ModelError):
        vetted.view(hostile, tmp_path / "view")


# What a template may try, and the code of what comes of it; `row` bombs over one row alone.
TEMPLATES = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ raise_exception.__globals__ }}",
    "import": "{{ self.__init__.__globals__.__builtins__.__import__('os').system('touch CANARY') }}",
    "lipsum": "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "attr": "{{ ''|attr('__class__')|attr('__base__') }}",
    "namespace": "{% set ns = namespace(__class__=1) %}{{ ns.__init__ }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "include": "{% include '/etc/passwd' %}",
    "module": "{% import 'os' as os %}{{ os.system('touch CANARY') }}",
    "text": "{{ 'a' * 10**10 }}",
    "power": "{{ 7 ** (10 ** 9) }}",
    "width": "{{ '%99999999999d' % 1 }}",
    "centred": "{{ 'a'|center(10**10) }}",
    "doubled": "{% set n = namespace(x='a' * 1000) %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "nested": "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "recursion": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "tree": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "blocks": "{% for a in 'x' %}" * 30 + "{% endfor %}" * 30,
    "not one": "{% if %}",
}
HANGS = (
    "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}"
    "{% endfor %}{{ n.x == n.y }}"
)


@pytest.fixture
def templated(starter_tokenizer_folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A folder with the starter's tokenizer and the chat template that is given."""

    def make(source: str) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        for path in starter_tokenizer_folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "chat_template.jinja").write_text(source)
        return folder

    return make


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))
    return tmp_path / "rows.jsonl"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates run in the limited child, as for a wizard or a command."""
    monkeypatch.setattr(limited._Child, "here", False)


@pytest.mark.slow
@pytest.mark.usefixtures("child")
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_reaches_nothing_and_ends(
    name: str, canaries: Path, templated: Callable[[str], Path], rows: Path
) -> None:
    folder = templated(TEMPLATES[name].replace("CANARY", str(canaries / name)))
    with pytest.raises(TunesmithError) as refused:
        preview(str(rows), str(folder))
    assert "template" in refused.value.message and refused.value.hint
    assert ran(canaries) == []
    assert limited.call(len, "abc") == 3  # the child lives, or another one does


@pytest.mark.slow
@pytest.mark.usefixtures("child")
def test_a_template_that_does_not_come_back_ends_its_process_and_says_so(
    templated: Callable[[str], Path], rows: Path
) -> None:
    with pytest.raises(ModelError) as refused:
        preview(str(rows), str(templated(HANGS)))
    assert refused.value.code == bounds.CODE and "chat template" in refused.value.message and refused.value.hint


def test_a_template_never_runs_where_nothing_may_be_ended(starter_tokenizer_folder: Path) -> None:
    code = (
        "from tunesmith.recipes.data.rendering.tokenizer import Tokenizer\n"
        f"Tokenizer.load({str(starter_tokenizer_folder)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "may be ended for it" in done.stderr


ROW_BOMB = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% if m.content == 'bomb' %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    "{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.slow
@pytest.mark.usefixtures("child")
def test_one_row_that_a_template_bombs_over_is_rejected_and_the_others_kept(
    templated: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = templated(ROW_BOMB)
    bomb = {"messages": [{"role": "user", "content": "bomb"}, {"role": "assistant", "content": "Hello"}]}
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in (ROW, bomb, ROW)))
    *_, report = check(Options(files=(str(file),), model=str(folder)))
    assert (report.rows_kept, [row.code for row in report.rejected]) == (2, [bounds.CODE])
    file.write_text("\n".join(json.dumps(row) for row in (ROW, bomb, bomb, bomb, ROW)))
    rejected = tmp_path / "rejected.jsonl"
    with pytest.raises(ModelError, match="chat template") as refused:
        list(check(Options(files=(str(file),), model=str(folder), rejected=str(rejected))))
    assert refused.value.code == bounds.CODE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "rows.jsonl"]


@pytest.mark.slow
def test_a_whole_run_and_a_chat_on_a_hostile_folder_run_none_of_it(
    hostile: Path, tmp_path: Path, canaries: Path
) -> None:
    """Fetch, prepare, probe, train, evaluate, export and verify in a real worker; then both chat children."""
    file = tmp_path / "rows.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"Who? {n}"}, {"role": "assistant", "content": "I."}]}
        for n in range(12)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    job = tmp_path / "home" / "jobs" / "1"
    job.mkdir(parents=True)
    recipe = {
        "model": {"source": str(hostile)}, "data": {"train": str(file)}, "evaluation": {"answers": 1, "general": False},
        "training": {"epochs": 1, "device": "cpu", "save_steps": 0}, "exports": ["adapter", "merged", "gguf:q8_0"],
    }  # fmt: skip
    (job / "spec.json").write_bytes(msgspec.json.encode(spec.parse(json.dumps(recipe), tmp_path)))
    command = [sys.executable, "-m", "tunesmith.daemon.worker", str(job), "1"]
    subprocess.run(command, check=True, timeout=280, capture_output=True, cwd=hostile)
    told = [e.decode(line) for line in (job / "journal-1.jsonl").read_bytes().splitlines()]
    assert ran(canaries) == []
    failure = next((event for event in told if isinstance(event, e.Failed)), None)
    assert failure is None or failure.stage == "verify", failure  # a random model need not be reproduced to the bit
    notices = " ".join(event.text for event in told if isinstance(event, e.Notice))
    assert "auto_map" in notices and "never run" in notices
    base = (job / "base.txt").read_text().strip()
    for arguments in ([job / "artifacts" / "model-q8_0.gguf"], [job / "base-q8_0.gguf", "--convert", base]):
        assert isinstance(chatted(*arguments), Ended)
    assert ran(canaries) == []


def chatted(*arguments: str | Path) -> Line:
    return said(*arguments)[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "width", "endless", "lipsum", "brackets"])
def test_a_gguf_with_a_hostile_template_is_refused_before_llama_cpp_has_it(
    name: str, tmp_path: Path, canaries: Path
) -> None:
    path = tmp_path / "model.gguf"
    with publish.staging(path) as staged:
        writer = gguf.GGUFWriter(staged, "llama")
        writer.add_chat_template(TEMPLATES[name].replace("CANARY", str(canaries / name)))
        writer.add_tensor("token_embd.weight", np.zeros((32, 32), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        publish.publish_file(staged, path)
    failed = chatted(path)
    assert isinstance(failed, Refused) and failed.hint
    assert ran(canaries) == []


def test_no_address_reaches_what_opens_files() -> None:
    """A run's chat is text alone, a served one takes pictures as data: (tests/daemon/test_picture_bounds.py).

    llama-cpp-python's handlers, which read file:// pictures, are never called.
    """
    picture = {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}
    asked = {"messages": [{"role": "user", "content": [picture]}]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(asked), type=Chat)
    worker = Path(sys.modules["tunesmith.daemon"].__path__[0]) / "worker"
    sources = {path.name: path.read_text("utf-8") for path in worker.rglob("*.py")}
    assert len(sources) > 20
    for word in ("create_chat_completion", "chat_handler", "ChatHandler", "llama_cpp.server"):
        assert [name for name, text in sources.items() if word in text] == []
