"""A vision-language model as its makers publish it, made small: Gemma 3 with a SigLIP tower and its projector."""

from __future__ import annotations

import json
from pathlib import Path

import exported_families as made
import families
from families import HEADS
from tiny_tokenizers import sentence_pieces

SIDE = 56  # pixels; patches of 14 make 16 of them, pooled to 4 tokens
TOKENS = 4
TOWER = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIDE,
    "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
SEEN = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
PIECES = made.GEMMA._replace(inside=(*made.GEMMA.inside, *SEEN))
TEMPLATE = (  # as Gemma 3's own: parts of a message, a picture's token where one stands
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' }}"
    "{{ ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<start_of_image>' }}{% else %}"
    "{{ part['text'] | trim }}{% endif %}{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PICTURES = {
    "image_processor_type": "Gemma3ImageProcessor", "do_resize": True, "size": {"height": SIDE, "width": SIDE},
    "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3, "image_seq_length": TOKENS, "do_pan_and_scan": False,
}  # fmt: skip


def publish(folder: Path) -> Path:
    """`folder` as a hub has it, the weights in float16 under the names of the makers' files."""
    import torch
    from safetensors.torch import load_file, save_file

    language = HEADS | made.SIX | {"query_pre_attn_scalar": 16, "max_position_embeddings": 1024}
    first = len(made.GEMMA_PIECES) + len(made.GEMMA.inside)
    config = families.config(
        "Gemma3Config", text_config=language | {"vocab_size": PIECES.count}, vision_config=TOWER,
        mm_tokens_per_image=TOKENS, boi_token_index=first, eoi_token_index=first + 1, image_token_index=first + 2,
    )  # fmt: skip
    folder.mkdir()
    model = families.base(families.Family("gemma3", config))
    with torch.no_grad():  # zeros otherwise, and every picture would be one
        model.model.multi_modal_projector.mm_input_projection_weight.normal_(std=0.15)
    model.to(torch.float16).save_pretrained(str(folder))
    weights = load_file(folder / "model.safetensors")
    published = {name.replace("vision_tower.", "vision_tower.vision_model."): one for name, one in weights.items()}
    save_file(published, folder / "model.safetensors", metadata={"format": "pt"})
    sentence_pieces(folder, TEMPLATE, PIECES)
    (folder / "preprocessor_config.json").write_text(json.dumps(PICTURES))
    return folder
