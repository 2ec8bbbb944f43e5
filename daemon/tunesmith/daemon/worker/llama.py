"""llama.cpp as verification and chat use it: template, tokens, logits, and text as it is generated."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.data.rendering.chat_template import failures
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models import gguf_config, gguf_header

if TYPE_CHECKING:
    from tunesmith.daemon.worker.llama_eyes import Eyes

LONGEST_CONTEXT = 4096  # tokens; a context costs memory when it is made, and models claim up to a million
NUCLEUS = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}  # llama.cpp's own defaults for sampling


def compiled(template: str) -> None:
    """Try what loading the file makes of `template`. Raises ModelError."""
    from jinja2 import TemplateError
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    try:
        with bounds.loading("The chat template in the GGUF"):
            Jinja2ChatFormatter(template=template, eos_token="", bos_token="")
    except (TemplateError, SyntaxError, RecursionError, ValueError, OverflowError) as error:
        raise ModelError(f"The chat template in the GGUF cannot be read: {error}", "Do not use this file.") from error


class Engine:
    """One loaded GGUF, with an adapter in GGUF on it if given.

    With `logits_all` every position's logits are kept: for `logits`, not for long contexts.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int = LONGEST_CONTEXT,
        logits_all: bool = False,
        adapter: Path | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelError(f"There is no model at {path}", "Let the run reach the end of its export stage first.")
        # Threads that spin while they wait make llama.cpp ten times slower as soon as another program wants a core
        # (measured on 2: 5 tokens/s against 35); OpenMP reads this when the library is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        import llama_cpp

        gguf_header.read(path)  # what llama.cpp takes a file's word for, and aborts over
        for template in gguf_config.templates(path):
            compiled(template)  # as loading does, where nothing bounds it
        threads = granted_cores()
        try:
            self._llama: Any = llama_cpp.Llama(
                str(path),
                n_ctx=context_tokens,
                n_batch=min(512, context_tokens),
                n_threads=threads,
                n_threads_batch=threads,
                logits_all=logits_all,
                lora_path=None if adapter is None else str(adapter),
                verbose=False,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"llama.cpp cannot load {path}: {error}", "Export the model again.") from error
        self._is_end: Callable[[int], bool] = lambda token: bool(
            llama_cpp.llama_vocab_is_eog(self._llama._model.vocab, token)
        )
        metadata: Mapping[str, str] = self._llama.metadata
        trained_on = int(metadata.get(f"{metadata.get('general.architecture', '')}.context_length", context_tokens))
        self.context_tokens = min(context_tokens, trained_on)
        self.template = metadata.get("tokenizer.chat_template")
        self.name = metadata.get("general.name") or path.stem
        self.finish_reason = ""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._llama.close()

    def render(self, messages: Sequence[Mapping[str, Any]], prompt: bool = True) -> str:
        """`messages` through the template in the GGUF, rendered as llama-cpp-python does; `prompt` opens an answer.

        Raises ModelError when there is no template or it refuses the messages.
        """
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        if not self.template:
            raise ModelError("The GGUF carries no chat template", "Train from a model whose tokenizer has one.")
        formatter = Jinja2ChatFormatter(
            template=self.template,
            eos_token=self._token_text(self._llama.token_eos()),
            bos_token=self._token_text(self._llama.token_bos()),
            add_generation_prompt=prompt,
        )
        try:
            with bounds.loading("The chat template of the model"):
                return str(formatter(messages=list(messages)).prompt)
        except failures() as error:
            raise ModelError(f"The chat template refuses these messages: {error}", "Check its roles.") from error

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered `text`: its special tokens are read as such, and none is added."""
        ids: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return ids

    def logits(self, ids: list[int]) -> Any:
        """A float32 array (position, vocabulary), valid until the next call; for `logits_all` only."""
        self._llama.reset()
        self._llama.eval(ids)
        return self._llama.scores[: len(ids)]

    def stream(self, ids: list[int], max_tokens: int, temperature: float = 0.0, seed: int = 0) -> Iterator[str]:
        """Text after `ids`, a piece a token ('' while a character is incomplete), up to the end of the turn.

        What `ids` have in common with the last call is not computed again. `finish_reason` is then stop or length.
        Raises ModelError when `ids` fill the context.
        """
        room = self.context_tokens - len(ids)
        if room < 1:
            raise ModelError(
                f"The conversation has {len(ids)} tokens; the model's context holds {self.context_tokens}",
                "Begin a new conversation or ask with a shorter text.",
                "context_full",
            )
        self._llama.set_seed(seed)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.finish_reason = "length"
        most = min(max_tokens, room)
        tokens = self._llama.generate(ids, temp=temperature, repeat_penalty=1.0, **NUCLEUS)
        for written, token in enumerate(tokens, start=1):
            if self._is_end(token):
                self.finish_reason = "stop"
                break
            yield decoder.decode(bytes(self._llama.detokenize([token])))
            if written >= most:
                break
        if rest := decoder.decode(b"", final=True):
            yield rest

    def eyes(self, file: Path) -> Eyes:
        """What this model sees with, of an mmproj. Raises ModelError."""
        from tunesmith.daemon.worker.llama_eyes import Eyes

        return Eyes(file, self._llama._model.model)

    def answer(self, ids: list[int], max_tokens: int) -> tuple[str, bool]:
        """The greedy answer, whole, and whether it ended by itself."""
        text = "".join(self.stream(ids, max_tokens)).strip()
        return text, self.finish_reason == "stop"

    def _token_text(self, token: int) -> str:
        return str(self._llama._model.token_get_text(token)) if token != -1 else ""
