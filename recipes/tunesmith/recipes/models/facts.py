"""ModelFacts: what planning needs to know of a model; every count is a sum over its matrices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import msgspec

# One letter a layer keeps the facts of a hundred layers readable in JSON.
KINDS: Mapping[str, str] = MappingProxyType({
    "f": "full attention",
    "s": "sliding-window attention",
    "d": "gated delta net (linear attention)",
    "1": "Mamba",
    "2": "Mamba 2",
    "c": "short convolution",
    "h": "full attention and Mamba 2 side by side",
})  # fmt: skip
WITH_FULL_CACHE = "fh"
ATTENTION, MLP, SHARED, MIXER = "attention", "mlp", "shared", "mixer"  # parts whose matrices are linear layers
EXPERT, ROUTER, TOWER = "expert", "router", "tower"
LINEAR = (ATTENTION, MLP, SHARED, MIXER)


class Matrix(msgspec.Struct, frozen=True):
    """`count` equal weight matrices. `name` is the last of the module's name, as LoRA's targets have it."""

    part: str
    name: str
    inputs: int
    outputs: int
    count: int

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs * self.count


class Stored(msgspec.Struct, frozen=True):
    """What the headers of weight files say. `parameters` is None where several weights are packed into one number."""

    parameters: int | None
    bytes: int
    dtypes: tuple[str, ...]
    files: int


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A model as config.json describes it.

    `kinds` has a letter of KINDS for each layer. `intermediate_size` is that of dense layers, `experts` the routed ones
    of a layer, `shared_intermediate_size` the width of all shared experts together, `dense_layers` the layers
    without experts in a model that has some. `context` is the length limit in tokens, 0 where none is stated.
    `cached_width` are the numbers that attention keeps of a token and layer, `state_numbers` those that all recurrent
    layers keep of a sequence, whatever its length. `vectors` are norms, biases and the like, all together;
    `active_vectors` those of them a token meets. `layer_norms` are the norms over hidden_size of a layer, `norm_means`
    says whether they subtract the mean, `head_norms` whether queries and keys are normed: "head" each head, "full" all
    of them together. `post_norms` says whether layers norm only what they make, not what they read, `written_means`
    whether norms subtract the mean by operations of their own, `parallel` whether attention and MLP read the same.
    `activation` is transformers' name of the MLP's. `capped_scores` and `capped_logits` go through a tanh,
    `scaled_logits` are multiplied. `adapted_experts` says whether adapters sit beside routed experts and their
    router too. `known` is false when the architecture had to be taken for an ordinary decoder, so that counts derived
    from it may be off.
    """

    source: str
    architecture: str
    model_type: str
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    key_value_heads: int
    head_dim: int
    vocabulary: int
    tied_embeddings: bool
    context: int
    kinds: str
    cached_width: int
    matrices: tuple[Matrix, ...]
    vectors: int
    expert_vectors: int = 0
    state_numbers: int = 0
    position_embeddings: int = 0
    sliding_window: int | None = None
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate_size: int = 0
    shared_intermediate_size: int = 0
    dense_layers: int = 0
    layer_norms: int = 2
    norm_means: bool = False
    head_norms: str = ""
    post_norms: bool = False
    written_means: bool = False
    parallel: bool = False
    activation: str = ""
    capped_scores: bool = False
    capped_logits: bool = False
    scaled_logits: bool = False
    adapted_experts: bool = False
    known: bool = True
    stored: Stored | None = None
    to_fetch: int = 0  # bytes that have to come to this machine's disk before it can be loaded

    @property
    def parameters(self) -> int:
        """All of them; tied embeddings once. What the headers of the files say goes before what was derived."""
        if self.stored is not None and self.stored.parameters is not None:
            return self.stored.parameters
        return self.derived_parameters

    @cached_property
    def derived_parameters(self) -> int:
        """As the configuration implies them."""
        return self.embedding_parameters + sum(matrix.parameters for matrix in self.matrices) + self.vectors

    @property
    def active_parameters(self) -> int:
        """Those that one token is computed with: of the routed experts only the chosen ones."""
        if not self.experts:
            return self.parameters
        unused = self.experts - self.experts_per_token
        return self.parameters - (self.expert_parameters + self.expert_vectors) * unused // self.experts

    @property
    def embedding_parameters(self) -> int:
        """Token embeddings, learned positions, and the output head where it is not tied."""
        return self.vocabulary * self.hidden_size * (1 if self.tied_embeddings else 2) + self.position_embeddings

    @cached_property
    def linear_parameters(self) -> int:
        """Weights of linear layers inside the layers: what LoRA sits beside and nf4 quantizes. No routed experts."""
        return sum(matrix.parameters for matrix in self.matrices if matrix.part in LINEAR)

    @cached_property
    def expert_parameters(self) -> int:
        """Weights of all routed experts."""
        return sum(matrix.parameters for matrix in self.matrices if matrix.part == EXPERT)

    @cached_property
    def tower_parameters(self) -> int:
        """Weights of what sees or hears, with the layers that lead into the language model."""
        return sum(matrix.parameters for matrix in self.matrices if matrix.part == TOWER)

    @property
    def linear_layers(self) -> int:
        """How many layers have linear attention, Mamba or a convolution in place of attention."""
        return sum(self.kinds.count(kind) for kind in "d12c")

    def kv_cache_bytes(self, tokens: int, bytes: float = 2.0) -> int:
        """What one sequence of `tokens` keeps, at `bytes` a number.

        Full attention keeps every token, sliding attention at most its window, recurrent layers a state of fixed size.
        Multi-head latent attention is counted compressed, as llama.cpp keeps it.
        """
        full = sum(self.kinds.count(kind) for kind in WITH_FULL_CACHE)
        kept = tokens if self.sliding_window is None else min(tokens, self.sliding_window)
        numbers = self.cached_width * (full * tokens + self.kinds.count("s") * kept) + self.state_numbers
        return int(numbers * bytes)
