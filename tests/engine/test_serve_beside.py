"""Engines that are installed beside us, by doubles that speak their command lines and protocols: the same answers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engines_beside as beside
import pytest
from engines_beside import Record
from serving_child import Child, calls_of, child, ended, question, refused, said, scores_of, text_of

from tunesmith.daemon.serving.lines import Embed, Ended, Generate, Loading, Ready, Refused, Sampling, Stop
from tunesmith.daemon.worker.engines import Prompt, lmdeploy, sglang, vllm
from tunesmith.daemon.worker.serve.servers import Asked
from tunesmith.recipes.models.starter_file import starter_gguf

NAMES = ("vllm", "sglang", "lmdeploy")
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris", "London"]}}, "required": ["city"]},
    },
}
SCHEMA = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}


class World:
    """One engine's double with a model and two adapters, and the process that asks it."""

    def __init__(self, name: str, folder: Path, tokenizer: Path) -> None:
        self.name = name
        self.record = Record(folder / "record.jsonl")
        self.program = beside.install(folder / "bin", name)
        self.model = beside.model_folder(folder / "model", tokenizer)
        self.adapters = [str(beside.adapter_folder(folder / f"adapter{place}")) for place in range(2)]

    def arguments(self, *more: str | Path) -> list[str | Path]:
        with_adapters = [word for path in self.adapters for word in ("--adapter", path)]
        options = ["--engine", self.name, "--program", self.program, "--share", beside.share_option()]
        return [self.model, *options, *with_adapters, "--slots", "4", *more]

    def double(self, monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
        monkeypatch.setenv("DOUBLE", json.dumps({"record": str(self.record.path), **how}))


@pytest.fixture(scope="module", params=NAMES)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, starter_tokenizer_folder: Path
) -> World:
    return World(request.param, tmp_path_factory.mktemp(request.param), starter_tokenizer_folder)


@pytest.fixture(scope="module")
def engine(world: World) -> Iterator[Child]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world.double(monkeypatch)
        with child(*world.arguments()) as one:
            while not isinstance(ready := one.hear(), Ready):
                assert isinstance(ready, Loading), ready
            assert (ready.engine, ready.slots, ready.context_tokens) == (world.name, 4, 4096)
            yield one
    assert world.record.gone(), "it ends with the process that asks it"


@pytest.fixture(scope="module")
def ours() -> Iterator[Child]:
    """llama.cpp in our own environment, which has the model that the doubles have."""
    with child(starter_gguf(), "--slots", "4") as one:
        assert isinstance(one.hear(), Ready)
        yield one


@pytest.mark.slow
def test_an_answer_is_byte_for_byte_that_of_our_own_engine(world: World, engine: Child, ours: Child) -> None:
    for asked, more in (
        ("Name a colour.", {}), ("Grüße, <b>“世界”</b>\n\n two  spaces", {}), ("Say hello.", {"stop": ("o",)}),
    ):  # fmt: skip
        mine, theirs = ours.ask(asked, max_tokens=12, **more), engine.ask(asked, max_tokens=12, **more)
        assert text_of(theirs) == text_of(mine)
        assert ended(theirs).finish_reason == ended(mine).finish_reason
        assert (ended(theirs).prompt_tokens, ended(theirs).tokens) == (ended(mine).prompt_tokens, ended(mine).tokens)
    assert ended(engine.ask("Name a colour.", max_tokens=2)).cached == 7, "what the server said of its cache"


@pytest.mark.slow
def test_an_answer_that_ends_by_itself_ends_alike(engine: Child, ours: Child) -> None:
    """Whether the server tells the token that ended it or keeps it to itself."""
    mine, theirs = ours.ask("Hi", max_tokens=200), engine.ask("Hi", max_tokens=200)
    assert text_of(theirs) == text_of(mine) and ended(theirs).finish_reason == ended(mine).finish_reason == "stop"


@pytest.mark.slow
def test_scores_are_those_of_our_own_engine(engine: Child, ours: Child) -> None:
    mine = scores_of(ours.ask("Name a fruit.", max_tokens=4, logprobs=3))
    theirs = scores_of(engine.ask("Name a fruit.", max_tokens=4, logprobs=3))
    assert [one.token for one in theirs] == [one.token for one in mine]
    for one, other in zip(theirs, mine, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=0.3)
        assert len(one.top) == 3 and one.top[0][0] == one.token and one.top[0][1] == one.logprob
        assert sum(math.exp(logprob) for _, logprob in one.top) <= 1.0001


@pytest.mark.slow
def test_the_prompt_s_scores_are_told_or_refused_by_name(world: World, engine: Child, ours: Child) -> None:
    def told(one: Child) -> Any:
        id = one.new_id()
        one.send(Generate(id=id, sampling=Sampling(0, logprobs=1), text="The sky is blue", echo=True))
        return one.until(id)

    answers = told(engine)
    if world.name == "lmdeploy":
        assert refused(answers).code == "engine_cannot" and "how likely a prompt was" in refused(answers).message
        return
    assert text_of(answers) == "The sky is blue"
    theirs, mine = scores_of(answers), scores_of(told(ours))
    assert [one.token for one in theirs] == [one.token for one in mine] and theirs[0].logprob is None
    assert [one.logprob for one in theirs[1:]] == [pytest.approx(one.logprob, abs=0.3) for one in mine[1:]]


@pytest.mark.slow
def test_a_schema_is_followed(engine: Child) -> None:
    told = engine.ask("A colour.", max_tokens=60, schema=SCHEMA)
    assert json.loads(text_of(told))["colour"] in ("red", "blue") and ended(told).finish_reason == "stop"
    assert text_of(engine.ask("An object.", max_tokens=40, schema={}, stop=("}",))).lstrip().startswith("{")


@pytest.mark.slow
def test_a_call_is_held_to_its_form_or_refused_by_name(world: World, engine: Child) -> None:
    told = engine.ask("Weather in Paris?", tools=(TOOL,), tool_choice="required", max_tokens=60)
    if world.name == "lmdeploy":
        assert refused(told).code == "schema_unsupported"
        return
    (call,) = calls_of(told)
    assert call.name == "weather" and json.loads(call.arguments)["city"] in ("Paris", "London")
    assert ended(told).finish_reason == "tool_calls" and text_of(told) == ""


@pytest.mark.slow
def test_adapters_are_asked_by_path_and_one_that_it_was_not_started_with_is_refused(
    world: World, engine: Child
) -> None:
    plain, tuned = (text_of(engine.ask("Hello", max_tokens=6, adapter=path)) for path in ("", world.adapters[1]))
    assert plain != tuned
    asked = world.record.lines("asked")[-1]["asked"]
    assert "adapter-1" in (asked.get("model"), asked.get("lora_path"))
    assert refused(engine.ask("Hello", adapter="/nowhere")).code == "adapter_not_loaded"


@pytest.mark.slow
def test_a_seed_repeats_an_answer_or_is_refused_by_name(world: World, engine: Child) -> None:
    # The first computes the whole prompt, and the others begin where it did: that differs in the last bits.
    _, first, again = (engine.ask("Tell a story.", max_tokens=8, temperature=1.2, seed=5) for _ in range(3))
    if world.name == "sglang":
        assert refused(first).code == "engine_cannot" and "seed" in refused(first).message
    else:
        assert text_of(first) == text_of(again)
    assert ended(engine.ask("Tell a story.", max_tokens=2, seed=5)).tokens == 2, "the likeliest needs no seed"


@pytest.mark.slow
def test_several_are_answered_at_once_and_one_that_nobody_wants_is_let_go(world: World, engine: Child) -> None:
    ids = [engine.new_id() for _ in range(6)]
    for id in ids:
        engine.send(question(id, f"Count from {id}.", max_tokens=6))
    assert all(text_of(engine.until(id)) for id in ids)
    unwanted = engine.new_id()
    engine.send(question(unwanted, "Tell a long story.", max_tokens=2000))
    while not any(getattr(line, "id", None) == unwanted for line in engine.heard):
        engine.hear()
    engine.send(Stop(unwanted))
    assert ended(engine.ask("Hello", max_tokens=2)).tokens == 2
    assert world.record.until("left"), "the server was told by its connection"
    assert not any(isinstance(line, Ended) and line.id == unwanted for line in engine.heard)


@pytest.mark.slow
def test_what_the_server_refuses_or_cannot_do_is_told_and_the_next_is_answered(world: World, engine: Child) -> None:
    id = engine.new_id()
    engine.send(Embed(id, "Hello"))
    assert refused(engine.until(id)).code == "engine_cannot"
    assert refused(engine.ask("word " * 20_000)).code == "context_full"
    if world.name == "lmdeploy":
        assert "temperature" in refused(engine.ask("x", temperature=3.0)).message
        assert "penalty" in refused(engine.ask("x", presence_penalty=1.0)).message
    assert ended(engine.ask("Hello", max_tokens=2)).tokens == 2


@pytest.mark.slow
def test_it_is_started_as_it_wants_with_a_key_that_nobody_else_can_read(world: World, engine: Child) -> None:
    (started,) = world.record.lines("started")
    words, environment = started["started"], started["environment"]
    line = Path(f"/proc/{started['pid']}/cmdline").read_bytes().decode()
    if world.name == "vllm":
        key = environment["VLLM_API_KEY"]
        place = Path(words[words.index("--uds") + 1])
        assert place.parent.stat().st_mode & 0o077 == 0
        assert words[words.index("--gpu-memory-utilization") + 1] == "0.375"  # 9 of 24 GB
        assert words[words.index("--max-lora-rank") + 1] == "16", "the smallest that it takes above 12"
    elif world.name == "sglang":
        settings = Path(words[words.index("--config") + 1])
        assert settings.stat().st_mode & 0o077 == 0
        key = settings.read_text().partition(": ")[2].strip()
        assert words[words.index("--mem-fraction-static") + 1] == "0.306"  # 1.02 x 6 of the 20 GB that were free
    else:
        key = words[words.index("--api-keys") + 1]
        assert words[words.index("--cache-max-entry-count") + 1] == "0.125"  # 2 of the 16 GB that weights leave
        assert words[words.index("--backend") + 1] == "pytorch", "the one that has adapters"
    assert len(key) >= 32 and key not in line
    assert environment["HF_HUB_OFFLINE"] == "1"
    shown = re.search(r"/[^\"=]*/adapter-0\b", " ".join(words))
    assert shown is not None
    kept = json.loads(Path(shown[0], "adapter_config.json").read_text())
    assert kept["r"] == 12 and "auto_mapping" not in kept, "a view of the adapter, without what names code"


@pytest.fixture
def one(tmp_path: Path, starter_tokenizer_folder: Path) -> World:
    """Of one engine, for what is alike for all."""
    return World("vllm", tmp_path, starter_tokenizer_folder)


def test_one_that_ends_before_the_model_is_loaded_says_the_cause(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one.double(monkeypatch, crash="start")
    *loading, told = said(*one.arguments())
    assert isinstance(told, Refused) and (told.id, told.code) == (0, "engine_failed")
    assert "Free memory on device" in told.message and "root cause" not in told.message
    assert any(isinstance(line, Loading) and "50%" in line.said for line in loading)


def test_a_gguf_is_no_model_folder(one: World) -> None:
    (told,) = said(starter_gguf(), "--engine", "vllm", "--program", one.program)
    assert isinstance(told, Refused) and "model folders" in told.message


@pytest.mark.slow
def test_a_token_that_ended_an_answer_may_be_kept_back(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one.double(monkeypatch, keeps_end=True)
    with child(*one.arguments()) as engine:
        answer = ended(engine.ask("Hi", max_tokens=200))
    assert answer.finish_reason == "stop"


def test_without_a_gpu_vllm_is_told_how_much_memory_its_cache_may_take(tmp_path: Path) -> None:
    start = beside_start(tmp_path, cache_bytes=3 * 2**30 + 1)
    assert vllm.start(start).environment["VLLM_CPU_KVCACHE_SPACE"] == "4"
    assert "--gpu-memory-utilization" not in vllm.start(start).words


def test_a_python_in_the_command_s_place_runs_the_module(tmp_path: Path) -> None:
    python = tmp_path / "python3.12"
    python.write_bytes(b"")
    python.chmod(0o700)
    start = beside_start(tmp_path, program=python)
    assert vllm.start(start).words[:4] == (str(python), "-m", "vllm.entrypoints.cli.main", "serve")
    assert sglang.start(start).words[:3] == (str(python), "-m", "sglang.launch_server")
    command = lmdeploy.start(start)
    assert command.words[0] == str(python) and json.loads(command.environment[lmdeploy.ARGUMENTS])[0] == "lmdeploy"


def test_an_adapter_of_a_rank_that_vllm_does_not_take_is_refused(tmp_path: Path) -> None:
    from tunesmith.recipes.errors import ModelError

    with pytest.raises(ModelError, match="rank 512 at most"):
        vllm.start(beside_start(tmp_path, adapters={"a": tmp_path}, rank=600))


def test_what_is_drawn_is_said_whole_so_that_no_setting_of_the_model_s_changes_it() -> None:
    prompt = Prompt([1, 2], Sampling(5, temperature=0.0))
    asked = Asked(prompt=prompt, name="base", most=5, top=None, scored=False, ends=(2,))
    said = {name: module.ask(asked) for name, module in (("vllm", vllm), ("lmdeploy", lmdeploy))}
    for body in (*said.values(), sglang.ask(asked)["sampling_params"]):
        assert {"temperature", "top_p", "top_k", "min_p"} <= set(body)
    assert (said["lmdeploy"]["temperature"], said["lmdeploy"]["top_k"]) == (1.0, 1), "the likeliest, in every version"


def test_sglang_is_understood_whether_it_tells_all_so_far_or_what_is_new() -> None:
    """Its versions differ in that; logprobs are all so far in any of them."""
    prompt = Prompt([1], Sampling(9, logprobs=1))
    plain, scored = (Asked(prompt=prompt, name="base", most=9, top=top, scored=False, ends=(2,)) for top in (None, 1))
    written = [(5, -0.5), (6, -0.25), (7, -0.125)]
    for count, before in ((1, 0), (3, 1)):
        about: Any = {
            "completion_tokens": count, "finish_reason": None, "cached_tokens": 0,
            "output_token_logprobs": [[logprob, id, None] for id, logprob in written[:count]],
            "output_top_logprobs": [[[logprob, id, None]] for id, logprob in written[:count]],
        }  # fmt: skip
        for ids in (written[:count], written[before:count]):
            event = {"output_ids": [id for id, _ in ids], "meta_info": about}
            wanted = written[before:count]
            text: Any = None
            assert [token.id for token in sglang.hear(event, plain, before, text).tokens] == [id for id, _ in wanted]
            heard = sglang.hear(event, scored, before, text).tokens
            assert [(token.id, token.logprob) for token in heard] == wanted
            assert [token.top for token in heard] == [((id, logprob),) for id, logprob in wanted]


def beside_start(folder: Path, **more: Any) -> Any:
    from tunesmith.daemon.worker.serve.servers import Start

    given: dict[str, Any] = {
        "program": folder / "vllm", "model": folder, "key": "k", "private": folder, "socket": folder / "s", "port": 1,
        "context": 100, "slots": 2, "adapters": {}, "rank": 0, "share": None, "cache_bytes": 0,
    }  # fmt: skip
    return Start(**given | more)
