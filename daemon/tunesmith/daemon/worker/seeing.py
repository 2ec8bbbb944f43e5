"""What a vision model sees with, verified: a picture's embeddings in llama.cpp against those of transformers.

Both look at one made picture of the size that the tower takes, so that no way of scaling pictures is compared.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import converting, load
from tunesmith.daemon.worker.compare import WORST
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.engines import Picture
from tunesmith.daemon.worker.llama import Engine
from tunesmith.daemon.worker.llama_eyes import Floats
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes import exports
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.exports import gguf
from tunesmith.recipes.models import headers
from tunesmith.recipes.words import meaning, say

LEAST_CONTEXT = 16  # tokens: the language model is loaded and not run


def verify(context: Context, target: str) -> e.Verified:
    """`target` beside a GGUF of the run's own. Raises ModelError where either does not load."""
    card, variant = exports.find(target)
    file = context.artifacts / card.file_name(variant)
    publish.verify_file(file)
    picture = made(side(context.merged))
    expected = embeddings(context.merged, picture)
    context.check_cancelled()
    with Engine(language_model(context), context_tokens=LEAST_CONTEXT) as engine, engine.eyes(file) as eyes:
        found = eyes.embeddings(picture)
    error = relative_error(expected, found)
    result = e.Verified(
        time=time.time(),
        key=target,
        passed=error <= card.embedding_limit,
        kl_divergence=0.0,
        top1_agreement=0.0,
        tokens_compared=len(expected),
        prompt_equal=True,
        token_ids_equal=True,
        kl_limit=0.0,
        embedding_error=error,
        embedding_limit=card.embedding_limit,
    )
    return result if result.passed else failed(result, card.instead(variant))


def failed(result: e.Verified, instead: str) -> e.Verified:
    english = "a picture's embeddings are off by {error}, at most {limit} is allowed"
    why = say("other_embeddings", english, error=f"{result.embedding_error:.2g}", limit=f"{result.embedding_limit:g}")
    hint = say("do_not_use", "Do not use it. {instead}", instead=instead)
    return msgspec.structs.replace(result, why=str(why), hint=str(hint), why_said=meaning(why), hint_said=meaning(hint))


def language_model(context: Context) -> Path:
    """A GGUF that the run exported, else one that is made of its merged model to be loaded here."""
    for card, variant in map(exports.find, context.spec.exports):
        file = context.artifacts / card.file_name(variant)
        if card.runtime == exports.LLAMA and card.kl_limits and not card.beside_base and file.is_file():
            return file
    path = context.work / "beside-mmproj.gguf"
    if not path.is_file():
        command = converting.command(context.vendor, context.merged, gguf.source(context.merged), path)
        run_watched(command, context.work, lambda: context.check_cancelled())
    return path


def side(model: Path) -> int:
    """Pixels along each side of the pictures that its tower takes. Raises ModelError."""
    match headers.config_of(model).get("vision_config"):
        case {"image_size": int(pixels)} if pixels > 0:
            return pixels
    raise ModelError(f"{model} does not say how large its pictures are", load.FILES_HINT, "model_files")


def made(pixels: int) -> Picture:
    """Waves of each colour in other directions, coarse and fine: every part of it is another."""
    y, x = np.mgrid[0:pixels, 0:pixels] * (2 * np.pi / pixels)
    colours = [np.sin(3 * x + 2 * y), np.cos(x * y * 2), np.sin(7 * x - 5 * y) * np.cos(11 * y)]
    values = np.clip(127.5 + 120 * np.stack(colours, -1), 0, 255).astype(np.uint8)
    return Picture(pixels, pixels, values.tobytes())


def embeddings(model: Path, picture: Picture) -> Floats:
    """Those that transformers computes, what sees in float32 and the language model, which is not run, as it is stored.

    Raises ModelError.
    """
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageTextToText

    here: Any = {"local_files_only": True, "trust_remote_code": False}
    try:
        processor: Any = AutoImageProcessor.from_pretrained(str(model), backend="pil", **here)
        loaded, info = AutoModelForImageTextToText.from_pretrained(
            str(model), dtype=load.stored_dtype(model), use_safetensors=True, output_loading_info=True, **here
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"The vision model in {model} cannot be loaded: {load.short(error)}", load.MODEL_HINT
        ) from error
    load.refuse_missing(model, info)
    for name, part in loaded.model.named_children():
        if name != "language_model":
            part.float()
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.pixels)
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        found: Any = loaded.eval().get_image_features(pixel_values=pixels).pooler_output
    computed: Floats = found.reshape(-1, found.shape[-1]).float().numpy()
    return computed


def relative_error(expected: Floats, found: Floats) -> float:
    """The length of what differs beside that of what is expected; WORST where shapes differ or it is no number."""
    if expected.shape != found.shape:
        return WORST
    length = float(np.linalg.norm(expected))
    error = float(np.linalg.norm(found - expected)) / length if length else WORST
    return error if np.isfinite(error) else WORST
