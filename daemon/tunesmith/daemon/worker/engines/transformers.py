"""transformers: model folders, with the adapters of peft; answers take turns, a token each, so that none stalls.

Several adapters lie on one base: an answer says whose it is, and its turn switches to that one. The keys and values of
answers that ended are kept for the next that begins as they did.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.daemon.worker.engines import Card, Form, Options, Prompt, Token
from tunesmith.daemon.worker.serve import adapters, base
from tunesmith.daemon.worker.serve.folder_text import FolderText
from tunesmith.recipes.errors import ModelError

CHUNK = 512  # tokens of a prompt in one turn
KEPT = 4  # ended answers whose keys and values are kept
WORTH_REUSING = 16  # tokens: copying the cache of another answer costs about that


class Writing:
    """`done` tokens of `ids` are in `cache`; the last of `ids` is what was sampled last."""

    def __init__(self, prompt: Prompt, cache: Any, reused: int, generator: Any) -> None:
        self.ids = list(prompt.ids)
        self.prompt_tokens = len(prompt.ids)
        self.asked = prompt.sampling
        self.adapter, self.scored = prompt.adapter, prompt.scored
        self.cache, self.reused, self.done, self.generator = cache, reused, reused, generator
        self.scores: list[Token] = []


class Transformers(FolderText):
    def __init__(self, folder: Path, options: Options) -> None:
        import torch

        from tunesmith.daemon.api.home import Home
        from tunesmith.daemon.worker import load
        from tunesmith.recipes.machine.cpu import granted_cores
        from tunesmith.recipes.models import vetted
        from tunesmith.recipes.spec import TrainingSpec

        view = options.scratch
        vetted.view(folder, view, Home.find().models)
        self._torch = torch
        torch.set_num_threads(granted_cores())
        super().__init__(view)
        self._device = load.device(TrainingSpec())
        self._model: Any = load.model(view, self._device, load.dtype(TrainingSpec(), self._device)).eval()
        self.name = folder.name
        self.slots = options.slots
        trained_on = getattr(self._model.config, "max_position_embeddings", None) or options.context
        self.context_tokens = min(options.context, trained_on)
        self._peft: Any = None
        self._adapters: dict[str, str] = {}
        self._names = itertools.count()
        self._adapter = ""
        self._kept: list[Writing] = []

    # Answers

    def held(self, form: Form) -> None:
        raise ModelError(
            "This engine cannot hold an answer to a schema", "Serve the model as a GGUF.", "schema_unsupported"
        )

    def begin(self, prompt: Prompt) -> Writing:
        from transformers import DynamicCache

        self._known(prompt.adapter)
        generator = self._torch.Generator(device=self._device)
        seed = prompt.sampling.seed
        generator.manual_seed(secrets.randbits(62) if seed is None else seed & (2**62 - 1))
        kept, common = self._prefix(prompt)
        if kept is None:
            return Writing(prompt, DynamicCache(config=self._model.config), 0, generator)
        self._kept.remove(kept)
        try:
            if common < kept.done:
                kept.cache.crop(common - kept.done)  # a negative number is how many to forget
        except (RuntimeError, ValueError, NotImplementedError):  # of a window that has moved on, or of a state
            return Writing(prompt, DynamicCache(config=self._model.config), 0, generator)
        return Writing(prompt, kept.cache, common, generator)

    def _prefix(self, prompt: Prompt) -> tuple[Writing | None, int]:
        def common(one: Writing) -> int:
            most = min(one.done, len(prompt.ids) - 1)  # the last is computed anew: its logits are wanted
            return next((i for i in range(most) if one.ids[i] != prompt.ids[i]), most)

        found = [(common(one), one) for one in self._kept if one.adapter == prompt.adapter and not prompt.scored]
        length, one = max(found, key=lambda pair: pair[0], default=(0, None))
        return (one, length) if length >= WORTH_REUSING else (None, 0)

    def step(self, writings: Sequence[Writing]) -> list[tuple[Writing, Token]]:
        """A turn of each: answers of one adapter after each other, so that it is switched as seldom as can be."""
        found = []
        for one in sorted(writings, key=lambda one: (one.adapter != self._adapter, one.adapter)):
            with self._torch.inference_mode():
                token = self._turn(one)
            if token is not None:
                one.ids.append(token.id)
                found.append((one, token))
        return found

    def _turn(self, one: Writing) -> Token | None:
        self._use(one.adapter)
        stop = min(len(one.ids), one.done + CHUNK)
        ids = self._torch.tensor([one.ids[one.done : stop]], device=self._device)
        keep = 0 if one.scored and one.done < one.prompt_tokens else 1
        out = self._model(input_ids=ids, past_key_values=one.cache, use_cache=True, logits_to_keep=keep)
        logits = out.logits[0].float()
        if one.scored and one.done < one.prompt_tokens:
            for place in range(one.done, min(stop, one.prompt_tokens - 1)):
                one.scores.append(self._scored(logits[place - one.done], one.ids[place + 1], one.asked.logprobs or 0))
        one.done = stop
        if stop < len(one.ids):
            return None
        token = self._sampled(logits[-1], one)
        return Token(token) if one.asked.logprobs is None else self._scored(logits[-1], token, one.asked.logprobs)

    def _sampled(self, logits: Any, one: Writing) -> int:
        asked, torch = one.asked, self._torch
        if asked.frequency_penalty or asked.presence_penalty:
            logits = penalized(logits, one.ids[one.prompt_tokens :], asked)
        if asked.temperature == 0:
            return int(logits.argmax())
        if asked.top_k:
            least = logits.topk(min(asked.top_k, len(logits))).values[-1]
            logits = logits.masked_fill(logits < least, float("-inf"))
        if asked.top_p < 1:
            ordered, places = logits.softmax(-1).sort(descending=True)
            out = places[ordered.cumsum(-1) - ordered >= asked.top_p]
            logits = logits.index_fill(0, out, float("-inf"))
        if asked.min_p:
            chances = logits.softmax(-1)
            logits = logits.masked_fill(chances < asked.min_p * chances.max(), float("-inf"))
        return int(torch.multinomial((logits / asked.temperature).softmax(-1), 1, generator=one.generator))

    def _scored(self, logits: Any, token: int, most: int) -> Token:
        logprobs = logits.log_softmax(-1)
        values, places = logprobs.topk(most) if most else (logprobs[:0], logprobs[:0])
        top = tuple(zip(map(int, places.tolist()), values.tolist(), strict=True))
        return Token(token, float(logprobs[token]), top)

    def end(self, writing: Writing) -> None:
        self._kept = [*self._kept, writing][-KEPT:]

    # Adapters

    def _known(self, path: str) -> str:
        """The name under which peft has the adapter; loaded when first asked for. Raises ModelError."""
        if path and path not in self._adapters:
            name = f"adapter-{next(self._names)}"
            self._put_on(Path(path), name)
            self._adapters[path] = name
        return self._adapters.get(path, "")

    def _put_on(self, folder: Path, name: str) -> None:
        from peft import LoraConfig, PeftModel, set_peft_model_state_dict
        from safetensors.torch import load_file

        base.verify(folder)
        config = LoraConfig(**adapters.settings(folder), task_type="CAUSAL_LM", inference_mode=True)
        try:
            if self._peft is None:
                self._peft = PeftModel(self._model, config, adapter_name=name)
            else:
                self._peft.add_adapter(name, config)
            weights = load_file(folder / adapters.WEIGHTS, device=self._device)
            if set_peft_model_state_dict(self._peft, weights, adapter_name=name).unexpected_keys:
                raise ValueError("it has weights that there is no place for")
        except (ValueError, RuntimeError, KeyError, OSError) as error:
            why = str(error).strip().splitlines()[0][:300]
            raise ModelError(f"The adapter {folder} does not fit on this base: {why}", "Is it of this base?") from error
        finally:
            self._use("", force=True)  # adding switches to it: the next turn says which it wants

    def _use(self, path: str, force: bool = False) -> None:
        if self._peft is None or (path == self._adapter and not force):
            return
        if path:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(self._adapters[path])
        else:
            self._peft.base_model.disable_adapter_layers()
        self._adapter = path

    # Embeddings

    def embed(self, ids: list[int], adapter: str) -> list[float]:
        """The mean over the tokens of what the last layer says."""
        self._known(adapter)
        self._use(adapter)
        with self._torch.inference_mode():
            tensor = self._torch.tensor([ids], device=self._device)
            states = self._model.get_decoder()(input_ids=tensor, use_cache=False).last_hidden_state
            vector = states[0].float().mean(0)
            return [float(number) for number in (vector / vector.norm().clamp_min(1e-12)).tolist()]

    def close(self) -> None:
        self._kept.clear()


def penalized(logits: Any, written: Sequence[int], asked: Sampling) -> Any:
    """By how often a token was written already, as OpenAI defines it."""
    import torch

    if not written:
        return logits
    ids, counts = torch.unique(torch.tensor(written, device=logits.device), return_counts=True)
    return logits.index_add(0, ids, -(counts * asked.frequency_penalty + asked.presence_penalty).to(logits.dtype))


CARD = Card(
    key="transformers",
    title="transformers",
    suits=lambda path: (path / "config.json").is_file(),
    open=Transformers,
)
