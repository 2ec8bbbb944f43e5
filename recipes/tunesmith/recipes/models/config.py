"""Values of a config.json, whatever its authors called them; a missing one is told by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.recipes.errors import ModelError

# Our name first, then what others call it.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim", "model_dim"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "key_value_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "multi_query_group_num"),
    "head_dim": ("head_dim", "kv_channels", "attention_head_dim"),
    "intermediate_size": (
        "block_ff_dim", "intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size", "hidden_dim",
    ),
    "vocabulary": ("vocab_size", "padded_vocab_size", "n_vocab"),
    "context": (
        "max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx",
        "model_max_length",
    ),
    "tied": ("tie_word_embeddings", "tie_embedding"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"),
    "experts_per_token": ("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk", "experts_per_token"),
    "expert_width": ("moe_intermediate_size", "expert_ffn_hidden_size"),
    "shared_experts": ("n_shared_experts", "moe_num_shared_experts", "num_shared_experts", "num_shared_expert"),
    "shared_width": ("shared_expert_intermediate_size", "shared_intermediate_size"),
    "activation": ("hidden_activation", "hidden_act", "activation_function"),
    "logits_scale": ("logits_scaling", "logit_scale"),
    "kinds": ("layer_types", "layers_block_type"),
}  # fmt: skip


LARGEST = 1 << 40  # no size or count of a model comes near


class Values:
    """Reads one level of a config. `name` is what errors call it."""

    def __init__(self, values: Mapping[str, Any], name: str) -> None:
        self.values, self.name = values, name

    def keys_of(self, what: str) -> tuple[str, ...]:
        return SYNONYMS.get(what, (what,))

    def get(self, what: str) -> Any:
        """The value under its first name that is set, else None."""
        return next((self.values[key] for key in self.keys_of(what) if self.values.get(key) is not None), None)

    def integer(self, what: str, default: int | None = None) -> int:
        """Raises ModelError naming the key when it is missing without a default, or no whole number from nought."""
        value = self.get(what)
        if isinstance(value, list) and value and len(set(map(str, value))) == 1:
            value = value[0]  # one number a layer, all the same
        if value is None:
            if default is not None:
                return default
            others = self.keys_of(what)
            raise ModelError(
                f"{self.name} has no '{others[0]}'"
                + (f" (nor {', '.join(repr(other) for other in others[1:])})" if others[1:] else ""),
                "It must be the config.json of a language model, as Hugging Face's libraries write it.",
                "model_config",
            )
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or not 0 <= value <= LARGEST:
            raise ModelError(
                f"{self.name} says {value!r} for '{self.keys_of(what)[0]}', where a whole number belongs",
                "Fetch the model again; its config.json may be damaged.",
                "model_config",
            )
        return int(value)

    def positive(self, what: str, default: int | None = None) -> int:
        value = self.integer(what, default)
        if value == 0:
            raise ModelError(
                f"{self.name} says 0 for '{self.keys_of(what)[0]}'",
                "Fetch the model again; its config.json may be damaged.",
                "model_config",
            )
        return value

    def number(self, what: str, default: float) -> float:
        value = self.get(what)
        return float(value) if isinstance(value, int | float) and 0 <= value <= LARGEST else default

    def indices(self, what: str, default: Iterable[int] = ()) -> frozenset[int]:
        """A list of layers' numbers."""
        value = self.get(what)
        return (
            frozenset(number for number in value if isinstance(number, int))
            if isinstance(value, list)
            else (frozenset(default))
        )

    def flag(self, what: str, default: bool) -> bool:
        value = self.get(what)
        return default if value is None else bool(value)

    def has(self, what: str) -> bool:
        return self.get(what) is not None

    def below(self, key: str) -> Values:
        """The values nested under `key`; none when there are none."""
        nested = self.values.get(key)
        return Values(nested if isinstance(nested, Mapping) else {}, f"{self.name} under '{key}'")
