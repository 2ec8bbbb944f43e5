"""llama.cpp: GGUF files, several answers in one batch, and LoRA adapters that are exchanged between two batches.

One context holds the keys and values of all answers in common cells. An answer begins when the cells that it may come
to need are free, so that none is given up half-way; what an ended one left is the prefix cache until cells are wanted.
"""

from __future__ import annotations

import codecs
import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.daemon.worker import llama_log
from tunesmith.daemon.worker.engines import Card, Form, Options, Picture, Prompt, Token
from tunesmith.daemon.worker.llama_eyes import Eyes, SeenText
from tunesmith.daemon.worker.serve import grammar, llama_sampling
from tunesmith.daemon.worker.serve.llama_writing import Slot, Writing
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models import gguf_header

BATCH = 512  # tokens computed at once: a long prompt stands in nobody's way for longer
SCORED = 64  # of them where each has its logits kept: 50,000 numbers of 4 bytes a token
CELLS = 2  # contexts that fit at once; slots share them
PIECE_BYTES = 256  # of a token's text; longer ones are asked for again
WORTH_COPYING = 16  # tokens of another answer's prefix


class LlamaReader:
    def __init__(self, engine: Llama, special: bool) -> None:
        self._engine, self._special = engine, special
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self, token: int) -> str:
        return self._decoder.decode(self._engine.piece(token, self._special))

    def rest(self) -> str:
        return self._decoder.decode(b"", final=True)


class Llama:
    def __init__(self, path: Path, options: Options) -> None:
        # Threads that spin while they wait make llama.cpp ten times slower as soon as another program wants a core
        # (measured on 2: 5 tokens/s against 35); OpenMP reads this when the library is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        import llama_cpp

        self._c = llama_cpp
        gguf_header.read(path)  # what llama.cpp takes a file's word for, and aborts over
        llama_cpp.llama_backend_init()
        llama_log.errors_only()
        parameters = llama_cpp.llama_model_default_params()
        self._model: Any = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self._model:
            raise ModelError(f"llama.cpp cannot load {path}", "Its log says why; export the model again.")
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.context_tokens = min(options.context, llama_cpp.llama_model_n_ctx_train(self._model) or options.context)
        self.slots = options.slots
        self._cells = self.context_tokens * min(CELLS, options.slots)
        self._context = self._new_context(self._cells, BATCH, options.slots)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self._embedder: Any = None
        self._slots = [Slot(number) for number in range(options.slots)]
        self._adapters: dict[str, Any] = {}
        self._adapter = ""
        self._clock = 0
        self._eyes = None if options.eyes is None else Eyes(options.eyes, self._model)
        self.mark = self._eyes.mark if self._eyes is not None else ""
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(self._vocab)
        # Such a model keeps a state and no single tokens: there is no beginning of it to go on from.
        model = self._model
        self._stateful = llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model)
        self.name = self._metadata("general.name") or path.stem
        self.template = self._template()

    def _new_context(self, cells: int, batch: int, sequences: int, embeddings: bool = False) -> Any:
        c = self._c
        wanted = c.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch, wanted.n_ubatch, wanted.n_seq_max = cells, batch, batch, sequences
        wanted.n_threads = wanted.n_threads_batch = granted_cores()
        wanted.kv_unified, wanted.embeddings, wanted.no_perf = True, embeddings, True
        wanted.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED  # as verification computes
        if embeddings and not self._metadata(f"{self._metadata('general.architecture')}.pooling_type"):
            wanted.pooling_type = c.LLAMA_POOLING_TYPE_MEAN  # a model that was not made for it says nothing
        context = c.llama_init_from_model(self._model, wanted)
        if not context:
            raise ModelError("llama.cpp has no memory for the model's context", "Serve it with a smaller --context.")
        return context

    def _template(self) -> ChatTemplate | None:
        source = self._metadata("tokenizer.chat_template")
        if not source:
            return None
        c = self._c
        special = {"bos_token": c.llama_vocab_bos(self._vocab), "eos_token": c.llama_vocab_eos(self._vocab)}
        names = {key: c.llama_vocab_get_text(self._vocab, id).decode() for key, id in special.items() if id >= 0}
        with bounds.loading("The chat template in the GGUF"):
            return ChatTemplate(source, {"bos_token": "", "eos_token": "", **names})

    def _metadata(self, key: str) -> str:
        size = 1024
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._c.llama_model_meta_val_str(self._model, key.encode(), buffer, size)
            if length < size:
                return buffer.value.decode("utf-8", "replace") if length >= 0 else ""
            size = length + 1

    # Text

    def tokenize(self, text: str, alone: bool) -> list[int]:
        data = text.encode()
        size = len(data) + 2
        while True:
            found = (self._c.llama_token * size)()
            count = self._c.llama_tokenize(self._vocab, data, len(data), found, size, alone, True)
            if count >= 0:
                return list(found[:count])
            size = -count

    def reader(self, special: bool) -> LlamaReader:
        return LlamaReader(self, special)

    def piece(self, token: int, special: bool) -> bytes:
        size = PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._c.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def token_text(self, token: int) -> str:
        return self.piece(token, True).decode("utf-8", "replace")

    def is_end(self, token: int) -> bool:
        return bool(self._c.llama_vocab_is_eog(self._vocab, token))

    # Answers

    def held(self, form: Form) -> str:
        return grammar.of(form)

    def begin(self, prompt: Prompt) -> Writing | None:
        wanted = min(len(prompt.ids) + prompt.sampling.max_tokens, self.context_tokens)
        free = [slot for slot in self._slots if slot.writing is None]
        if not free:
            return None
        slot, source, common = self._best(free, prompt)
        if not self._make_room(wanted, slot):
            return None
        if len(source.tokens) < common:  # it had to go for the room
            source, common = slot, 0
        self._lora(prompt.adapter)
        sampler = llama_sampling.chain(self._vocab, prompt.sampling, prompt.held)
        if source is not slot:
            self._forget(slot)
            self._c.llama_memory_seq_cp(self._memory, source.number, slot.number, 0, common)
        elif not self._c.llama_memory_seq_rm(self._memory, slot.number, common, -1):
            self._forget(slot)
            common = 0
        writing = Writing(slot, prompt, sampler, wanted)
        writing.reused = writing.done = common
        slot.tokens, slot.adapter, slot.writing = list(prompt.ids[:common]), prompt.adapter, writing
        self._clock += 1
        slot.used = self._clock
        return writing

    def _best(self, free: Sequence[Slot], prompt: Prompt) -> tuple[Slot, Slot, int]:
        """The slot to use, the one to take the beginning of the prompt from, and how many tokens that is."""

        def common(slot: Slot) -> int:
            if slot.adapter != prompt.adapter or prompt.scored or self._stateful:
                return 0
            most = min(len(slot.tokens), len(prompt.ids) - 1)  # the last is computed anew: its logits are wanted
            return next((i for i in range(most) if slot.tokens[i] != prompt.ids[i]), most)

        own = max(free, key=lambda slot: (common(slot), -slot.used))
        other = max(self._slots, key=common)
        if common(other) >= common(own) + WORTH_COPYING:
            oldest = min(free, key=lambda slot: slot.used)
            return oldest, other, common(other)
        if common(own) == 0:
            own = min(free, key=lambda slot: (len(slot.tokens) > 0, slot.used))
        return own, own, common(own)

    def _make_room(self, wanted: int, kept: Slot) -> bool:
        """Cells for `wanted` tokens in the slot `kept`; prefixes used longest ago go first."""
        idle = sorted((s for s in self._slots if s.writing is None and s is not kept), key=lambda slot: slot.used)
        busy = sum(slot.writing.reserved for slot in self._slots if slot.writing is not None)
        if busy + wanted > self._cells:
            return False
        for slot in idle:
            if busy + wanted + sum(len(other.tokens) for other in idle) <= self._cells:
                break
            self._forget(slot)
        return True

    def _forget(self, slot: Slot) -> None:
        self._c.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
        slot.tokens = []

    def step(self, writings: Sequence[Writing]) -> list[tuple[Writing, Token]]:
        """One batch: of every answer in it the next token, and of new ones the prompt, as far as there is room.

        A batch has one adapter: the one that was not served longest.
        """
        adapter = self._next_adapter(writings)
        self._use(adapter)
        mine = sorted((one for one in writings if one.adapter == adapter), key=lambda one: len(one.ids) - one.done)
        if looking := next((one for one in mine if one.looks), None):
            self._look(looking)
            return []
        spans: list[tuple[Writing, int, int]] = []
        room = SCORED if any(one.scored and one.done < one.prompt_tokens for one in mine) else BATCH
        for one in mine:
            count = min(room, one.readable - one.done)
            if count <= 0:
                continue
            spans.append((one, one.done, one.done + count))
            room -= count
        outputs = self._fill(spans)
        code = self._c.llama_decode(self._context, self._batch)
        if code != 0:
            raise RuntimeError(f"llama_decode gave {code}")
        found: list[tuple[Writing, Token]] = []
        for (one, start, stop), first in zip(spans, outputs, strict=True):
            one.slot.tokens.extend(one.ids[start:stop])
            one.done = stop
            if one.scored and start < one.prompt_tokens:
                self._score(one, start, stop, first)
            if stop == len(one.ids):
                place = first + (stop - start - 1 if one.scored and start < one.prompt_tokens else 0)
                token = self._c.llama_sampler_sample(one.sampler, self._context, place)
                scored = Token(token) if one.logprobs is None else self._scored(place, token, one.logprobs)
                one.ids.append(token)
                found.append((one, scored))
        return found

    def see(self, text: str, pictures: Sequence[Picture]) -> SeenText:
        assert self._eyes is not None  # who has no mark is not asked
        return self._eyes.see(text, pictures)

    def _look(self, one: Writing) -> None:
        """At the picture that comes next: nobody else's tokens go with it."""
        assert self._eyes is not None
        begun, one.done = one.done, self._eyes.look(self._context, one.seen, one.done, one.slot.number, BATCH)
        one.slot.tokens.extend(one.ids[begun : one.done])

    def _next_adapter(self, writings: Sequence[Writing]) -> str:
        waiting = list(dict.fromkeys(one.adapter for one in writings))
        if self._adapter in waiting and len(waiting) > 1:
            return waiting[(waiting.index(self._adapter) + 1) % len(waiting)]
        return waiting[0]

    def _fill(self, spans: Sequence[tuple[Writing, int, int]]) -> list[int]:
        """The batch; for each span where in it the first token with logits stands."""
        batch, count, outputs = self._batch, 0, []
        for one, start, stop in spans:
            scored = one.scored and start < one.prompt_tokens
            outputs.append(count if scored else count + stop - start - 1)
            for place in range(start, stop):
                batch.token[count] = one.ids[place]
                batch.pos[count] = place
                batch.n_seq_id[count] = 1
                batch.seq_id[count][0] = one.slot.number
                batch.logits[count] = scored or place == len(one.ids) - 1
                count += 1
        batch.n_tokens = count
        return outputs

    def _score(self, one: Writing, start: int, stop: int, first: int) -> None:
        for place in range(start, min(stop, one.prompt_tokens - 1)):
            one.scores.append(self._scored(first + place - start, one.ids[place + 1], one.logprobs or 0))

    def _scored(self, place: int, token: int, most: int) -> Token:
        import numpy as np

        pointer = self._c.llama_get_logits_ith(self._context, place)
        logits = np.ctypeslib.as_array(pointer, (self._vocabulary,))
        highest = logits.max()
        total = highest + np.log(np.exp(logits - highest, dtype=np.float64).sum())
        top: tuple[tuple[int, float], ...] = ()
        if most:
            likeliest = np.argpartition(logits, -most)[-most:]
            likeliest = likeliest[np.argsort(-logits[likeliest], kind="stable")]
            top = tuple((int(id), float(logits[id] - total)) for id in likeliest)
        return Token(token, float(logits[token] - total), top)

    def end(self, writing: Writing) -> None:
        """Its tokens stay until their cells are wanted."""
        self._c.llama_sampler_free(writing.sampler)
        writing.slot.writing = None

    # Adapters

    def _lora(self, path: str) -> Any:
        """Raises ModelError."""
        if path and path not in self._adapters:
            gguf_header.read(Path(path))
            loaded = self._c.llama_adapter_lora_init(self._model, os.fsencode(path))
            if not loaded:
                raise ModelError(f"llama.cpp cannot put the adapter {path} on this model", "Is it of this base?")
            self._adapters[path] = loaded
        return self._adapters.get(path)

    def _use(self, path: str) -> None:
        if path == self._adapter:
            return
        if path:
            adapters = (self._c.llama_adapter_lora_p_ctypes * 1)(self._lora(path))
            self._c.llama_set_adapters_lora(self._context, adapters, 1, (ctypes.c_float * 1)(1.0))
        else:
            self._c.llama_set_adapters_lora(self._context, None, 0, None)
        self._adapter = path

    # Embeddings

    def embed(self, ids: list[int], adapter: str) -> list[float]:
        """By a context of its own, made when first asked for: it gives no logits."""
        import numpy as np

        c = self._c
        if adapter:
            raise ModelError("Embeddings are those of the model without adapters", "Ask the model itself.", "adapter")
        if self._embedder is None:
            self._embedder = self._new_context(self.context_tokens, self.context_tokens, 1, embeddings=True)
        memory = c.llama_get_memory(self._embedder)
        if memory:
            c.llama_memory_clear(memory, True)
        batch = c.llama_batch_init(len(ids), 0, 1)
        try:
            for place, token in enumerate(ids):
                batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, place, 1
                batch.seq_id[place][0], batch.logits[place] = 0, True
            batch.n_tokens = len(ids)
            if (code := c.llama_decode(self._embedder, batch)) != 0:
                raise RuntimeError(f"llama_decode gave {code}")
        finally:
            c.llama_batch_free(batch)
        width = c.llama_model_n_embd(self._model)
        vector = np.ctypeslib.as_array(c.llama_get_embeddings_seq(self._embedder, 0), (width,)).astype(np.float64)
        length = float(np.linalg.norm(vector)) or 1.0
        return [float(number) for number in vector / length]

    def close(self) -> None:
        if self._eyes is not None:
            self._eyes.close()
        self._c.llama_batch_free(self._batch)
        for context in (self._embedder, self._context):
            if context:
                self._c.llama_free(context)
        self._c.llama_model_free(self._model)


CARD = Card(
    key="llama_cpp",
    title="llama.cpp",
    suits=lambda path: path.suffix == ".gguf",
    open=Llama,
)
