"""Layers that keep a state in place of attention: gated delta net, Mamba, Mamba 2, short convolution."""

from __future__ import annotations

from math import ceil

from tunesmith.recipes.models.config import Values
from tunesmith.recipes.models.facts import MIXER
from tunesmith.recipes.models.tally import Tally


def delta_net(tally: Tally, values: Values, hidden: int) -> None:
    value_heads, value_dim = values.integer("linear_num_value_heads", 32), values.integer("linear_value_head_dim", 128)
    key_dim = values.integer("linear_key_head_dim", 128)
    keys = values.integer("linear_num_key_heads", 16) * key_dim
    inner, kernel = value_heads * value_dim, values.integer("linear_conv_kernel_dim", 4)
    tally.matrix(MIXER, "in_proj_qkvz", hidden, 2 * keys + 2 * inner)
    tally.matrix(MIXER, "in_proj_ba", hidden, 2 * value_heads)
    tally.matrix(MIXER, "out_proj", inner, hidden)
    convolved = 2 * keys + inner
    tally.vector(convolved * kernel + 2 * value_heads + value_dim)
    tally.state_numbers += value_heads * key_dim * value_dim + convolved * kernel


def mamba2(tally: Tally, values: Values, hidden: int, *, normed: bool, out_bias: bool) -> None:
    inner = values.integer("mamba_d_ssm", values.integer("mamba_expand", 2) * hidden)
    heads, state = values.positive("mamba_n_heads", 128), values.integer("mamba_d_state", 256)
    kernel, biased = values.integer("mamba_d_conv", 4), values.flag("mamba_proj_bias", False)
    convolved = inner + 2 * values.integer("mamba_n_groups", 1) * state
    tally.matrix(MIXER, "in_proj", hidden, inner + convolved + heads, bias=biased)
    tally.matrix(MIXER, "out_proj", inner, hidden, bias=out_bias)
    tally.vector(convolved * (kernel + (1 if values.flag("mamba_conv_bias", True) else 0)) + 3 * heads)
    tally.vector(inner if normed else 0)
    tally.state_numbers += inner * state + convolved * kernel


def mamba(tally: Tally, values: Values, hidden: int, *, normed: bool) -> None:
    """`normed`: with norms on step, B and C, as Jamba has them; its keys begin with mamba_, Mamba's own do not."""
    jamba = values.has("mamba_d_state")
    inner = values.integer("mamba_expand" if jamba else "expand", 2) * hidden
    state = values.integer("mamba_d_state" if jamba else "state_size", 16)
    kernel = values.integer("mamba_d_conv" if jamba else "conv_kernel", 4)
    given = values.get("mamba_dt_rank" if jamba else "time_step_rank")
    rank = given if isinstance(given, int) else ceil(hidden / 16)
    biased = values.flag("mamba_proj_bias" if jamba else "use_bias", False)
    convolution_bias = values.flag("mamba_conv_bias" if jamba else "use_conv_bias", True)
    tally.matrix(MIXER, "in_proj", hidden, 2 * inner, bias=biased)
    tally.matrix(MIXER, "x_proj", inner, rank + 2 * state)
    tally.matrix(MIXER, "dt_proj", rank, inner, bias=True)
    tally.matrix(MIXER, "out_proj", inner, hidden, bias=biased)
    tally.vector(inner * (kernel + (1 if convolution_bias else 0)) + inner * state + inner)
    tally.vector(rank + 2 * state if normed else 0)
    tally.state_numbers += inner * (state + kernel)


def short_convolution(tally: Tally, values: Values, hidden: int) -> None:
    kernel, biased = values.integer("conv_L_cache", 3), values.flag("conv_bias", False)
    tally.matrix(MIXER, "in_proj", hidden, 3 * hidden, bias=biased)
    tally.matrix(MIXER, "out_proj", hidden, hidden, bias=biased)
    tally.vector(hidden * (kernel + (1 if biased else 0)))
    tally.state_numbers += hidden * kernel
