"""Random small Bamba checkpoints in which every tensor matters.

transformers' own initial values hide mistakes (dt_bias and D all ones, norms all ones, conv bias
zero, B and C near zero). Here time steps span 1e-3 .. 10, decays 0.01 .. 0.9999, and B, C,
attention scores and every layer's contribution are of order one. One seed gives one checkpoint,
always the same.
"""
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
INFINITY = math.inf


@dataclass(frozen=True)
class Shape:
    """What a config.json says, under names of our own; the reference computes from this alone."""
    vocab: int
    hidden: int
    mlp: int
    layers: int
    attention: tuple      # indices of the attention layers
    q_heads: int
    kv_heads: int
    head_dim: int
    rotary: int           # rotated dims of a head
    theta: float
    eps: float
    tied: bool
    heads: int            # Mamba heads; heads * width = expand * hidden
    width: int
    groups: int
    state: int
    conv: int
    expand: int
    conv_bias: bool
    proj_bias: bool
    attention_bias: bool
    mlp_bias: bool
    dt_limit: tuple
    chunk: int            # no effect on results
    max_positions: int

    @property
    def inner(self):
        return self.heads * self.width

    @property
    def conv_channels(self):
        return self.inner + 2 * self.groups * self.state

    def describe(self):
        low, high = self.dt_limit
        kinds = "".join("A" if i in self.attention else "m" for i in range(self.layers))
        flags = "".join(f for f, on in (("t", self.tied), ("c", self.conv_bias),
                                        ("p", self.proj_bias),
                                     ("a", self.attention_bias), ("f", self.mlp_bias)) if on)
        return (f"{kinds} H{self.hidden} V{self.vocab} F{self.mlp} nh{self.heads}x{self.width} "
                f"G{self.groups} N{self.state} k{self.conv} "
                f"q{self.q_heads}/{self.kv_heads}x{self.head_dim} r{self.rotary} "
                f"dt[{low:g},{high:g}] eps{self.eps:g} {flags or '-'}")


def random_shape(rng, seed):
    """The seed cycles through what must not be left to luck: attention placement and groups."""
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    layers = pick(2, 3, 4, 5)
    attention = {"none": (), "all": tuple(range(layers)),
                 "one": (int(rng.integers(layers)),),
                 "some": tuple(sorted(rng.choice(layers, max(1, layers // 2),
                                                 replace=False).tolist()))}[
                     ("one", "some", "none", "some", "one", "all", "some")[seed % 7]]
    hidden = pick(32, 40, 48, 64, 72, 96, 128)
    expand = pick(1, 2, 2, 2, 3)
    groups = (1, 2, 4)[seed % 3]
    inner = expand * hidden
    heads = pick(*[n for n in (4, 6, 8, 12, 16, 24, 32)
                   if inner % n == 0 and n % groups == 0 and 3 <= inner // n <= 64])
    q_heads = pick(2, 4, 6, 8)
    head_dim = hidden // q_heads
    if head_dim * q_heads != hidden or head_dim % 4 or pick(0, 0, 1):
        head_dim = pick(8, 16, 20, 32)
    rotary = head_dim // 2
    if pick(0, 0, 1):
        rotary = pick(head_dim, max(2, head_dim // 4 // 2 * 2))
    return Shape(
        vocab=pick(64, 97, 130, 256, 401), hidden=hidden, mlp=pick(32, 56, 96, 160), layers=layers,
        attention=attention, q_heads=q_heads,
        kv_heads=pick(*[n for n in (1, 2, 3, 4, 6, 8) if q_heads % n == 0]),
        head_dim=head_dim, rotary=rotary, theta=pick(10000.0, 10000.0, 500.0, 1e6),
        eps=pick(1e-5, 1e-5, 1e-6, 1e-2), tied=bool(pick(0, 1)), heads=heads, width=inner // heads,
        groups=groups, state=pick(8, 12, 16, 32, 64, 128), conv=pick(2, 3, 4, 4), expand=expand,
        conv_bias=bool(pick(0, 1, 1)), proj_bias=bool(pick(0, 0, 1)),
        attention_bias=bool(pick(0, 0, 0, 1)), mlp_bias=bool(pick(0, 0, 0, 1)),
        dt_limit=pick((0.0, INFINITY), (0.0, INFINITY), (0.05, INFINITY), (0.01, 1.0), (0.0, 0.5),
                      (0.002, 6.0)), chunk=pick(8, 16, 64, 256),
        max_positions=pick(512, 2048, 4096))


def random_weights(rng, s):
    """Tensors by name, float64, shaped as models store them."""
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    w = {"model.embed_tokens.weight": normal(s.vocab, s.hidden, std=0.5 if s.tied else 1.0),
         "model.final_layernorm.weight": norm_weight(s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    for i in range(s.layers):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = norm_weight(s.hidden)
        w[p + "pre_ff_layernorm.weight"] = norm_weight(s.hidden)
        for name in ("gate_proj", "up_proj"):
            w[p + f"feed_forward.{name}.weight"] = normal(s.mlp, s.hidden,
                                                          std=1.2 / math.sqrt(s.hidden))
        w[p + "feed_forward.down_proj.weight"] = normal(s.hidden, s.mlp, std=1.2 / math.sqrt(s.mlp))
        if s.mlp_bias:
            add_biases(w, p + "feed_forward.", ("gate_proj", "up_proj", "down_proj"), normal)
        mixer = attention_weights if i in s.attention else mamba_weights
        w.update({p + name: value for name, value in mixer(rng, s, normal, norm_weight).items()})
    return w


def attention_weights(rng, s, normal, norm_weight):
    std = 1.2 / math.sqrt(s.hidden)
    q_rows, kv_rows = s.q_heads * s.head_dim, s.kv_heads * s.head_dim
    w = {"self_attn.q_proj.weight": normal(q_rows, s.hidden, std=std),
         "self_attn.k_proj.weight": normal(kv_rows, s.hidden, std=std),
         "self_attn.v_proj.weight": normal(kv_rows, s.hidden, std=std),
         "self_attn.o_proj.weight": normal(s.hidden, q_rows, std=2 / math.sqrt(q_rows))}
    if s.attention_bias:
        add_biases(w, "self_attn.", ("q_proj", "k_proj", "v_proj", "o_proj"), normal)
    return w


def add_biases(w, prefix, names, normal):
    for name in names:
        w[f"{prefix}{name}.bias"] = normal(w[f"{prefix}{name}.weight"].shape[0], std=0.5)


def mamba_weights(rng, s, normal, norm_weight):
    # Evenly spread on a logarithmic scale, shuffled apart: slow and fast heads with large and small
    # steps.
    dt = rng.permutation(np.geomspace(1e-3, 10.0, s.heads))
    rate = rng.permutation(np.geomspace(-math.log(0.9999), -math.log(0.01), s.heads))
    step = np.clip(dt, *s.dt_limit)

    # A head's state grows with its step and memory; x and D are scaled so that heads weigh alike
    # and S and D·x too.
    memory = np.minimum(1 / -np.expm1(-rate), 50.0)
    gain = np.clip(0.5 * step * np.sqrt(s.state * memory), 0.05, 20.0)
    channel_scale = np.ones(s.conv_channels)
    channel_scale[:s.inner] = np.repeat(1 / gain, s.width)

    row_std = np.ones(s.inner + s.conv_channels + s.heads)
    row_std[-s.heads:] = 0.5
    rows = row_std.size
    w = {"mamba.in_proj.weight": normal(rows, s.hidden) * (row_std / math.sqrt(s.hidden))[:, None],
         "mamba.conv1d.weight": normal(s.conv_channels, 1, s.conv, std=1.5 / math.sqrt(s.conv))
                                * channel_scale[:, None, None],
         "mamba.dt_bias": dt + np.log(-np.expm1(-dt)),          # inverse of softplus
         "mamba.A_log": np.log(rate / step),
         "mamba.D": rng.choice([-1.0, 1.0], s.heads) * rng.uniform(0.5, 1.5, s.heads) * gain,
         "mamba.norm.weight": norm_weight(s.inner),
         "mamba.out_proj.weight": normal(s.hidden, s.inner, std=0.8 / math.sqrt(s.inner))}
    if s.conv_bias:
        w["mamba.conv1d.bias"] = normal(s.conv_channels, std=0.4) * channel_scale
    if s.proj_bias:
        add_biases(w, "mamba.", ("in_proj", "out_proj"), normal)
    return w


def rounded(weights, dtypes):
    """The values a checkpoint stored in these dtypes really holds. dtypes: tensor name -> torch
    dtype."""
    return {
        name: torch.from_numpy(value).to(torch.float32).to(dtypes[name]).to(torch.float64).numpy()
        for name, value in weights.items()}


def storage(weights, dtype, keep_ssm_float32=False):
    """Tensor name -> stored dtype; published checkpoints may keep A_log, D and dt_bias in
    float32."""
    small = ("A_log", "mamba.D", "dt_bias")
    return {name: torch.float32 if keep_ssm_float32 and name.endswith(small) else dtype
            for name in weights}


# -------------------------------------------------------------------------------------- config.json

STYLES = ("flat", "flat-short", "v5", "v5-short", "v5-layers")


def config_dict(s, rng, style, dtype):
    """Keys as published checkpoints have them (flat) or as transformers 5 writes them (v5).

    -short leaves out, or writes null, what the class has a default for; v5-layers adds a list of
    layer kinds.
    """
    name = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]
    c = {"architectures": ["BambaForCausalLM"], "model_type": "bamba", "vocab_size": s.vocab,
         "hidden_size": s.hidden, "intermediate_size": s.mlp, "num_hidden_layers": s.layers,
         "num_attention_heads": s.q_heads, "num_key_value_heads": s.kv_heads,
         "attn_layer_indices": list(s.attention), "attention_bias": s.attention_bias,
         "attention_dropout": 0.0, "hidden_act": "silu", "initializer_range": 0.02,
         "mamba_chunk_size": s.chunk, "mamba_conv_bias": s.conv_bias, "mamba_d_conv": s.conv,
         "mamba_d_head": s.width, "mamba_d_state": s.state, "mamba_expand": s.expand,
         "mamba_n_groups": s.groups, "mamba_n_heads": s.heads, "mamba_proj_bias": s.proj_bias,
         "max_position_embeddings": s.max_positions, "mlp_bias": s.mlp_bias,
         "num_logits_to_keep": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
         "rms_norm_eps": s.eps, "tie_word_embeddings": s.tied, "use_cache": True,
         "z_loss_coefficient": 0.0, "time_step_limit": list(s.dt_limit),
         "transformers_version": "4.45.0.dev0"}
    if s.head_dim * s.q_heads != s.hidden:
        c["head_dim"] = s.head_dim
    factor = s.rotary / s.head_dim
    if style.startswith("flat"):
        c.update({"torch_dtype": name, "rope_theta": s.theta, "rope_scaling": None,
                  "time_step_min": 0.001, "time_step_max": 0.1, "time_step_floor": 1e-4})
        if s.attention and s.rotary != s.head_dim // 2:
            key = ("attn_rotary_emb", "partial_rotary_factor")[rng.integers(2)]
            c[key] = s.rotary if key == "attn_rotary_emb" else factor
        elif s.attention and rng.integers(2):
            c["attn_rotary_emb"] = s.rotary
    else:
        c.update({"dtype": name, "transformers_version": "5.23.0", "rope_parameters": {
            "rope_theta": s.theta, "rope_type": "default", "partial_rotary_factor": factor}})
    if style == "v5-layers":
        kinds = ("full_attention", "linear_attention")
        c["layer_types"] = [kinds[i not in s.attention] for i in range(s.layers)]
    if style.endswith("-short"):
        shorten(c, s, rng)
    return c


def shorten(c, s, rng):
    """Leave out what the class defaults to, or write null where transformers itself allows it."""
    defaults = {"attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu",
                "initializer_range": 0.02, "mamba_chunk_size": 256, "mamba_conv_bias": True,
                "mamba_d_conv": 4, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_proj_bias": False,
                "mlp_bias": False, "num_logits_to_keep": 1, "pad_token_id": 0, "bos_token_id": 1,
                "eos_token_id": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
                "use_cache": True, "z_loss_coefficient": 0.0, "time_step_limit": [0.0, INFINITY],
                "rope_theta": 10000.0, "num_key_value_heads": 8}
    for key, value in defaults.items():
        if key in c and c[key] == value:
            del c[key]
    c.pop("transformers_version")
    c["mamba_d_head"] = "auto"
    if rng.integers(2):
        del c["mamba_d_head"]
    if s.kv_heads == s.q_heads:
        c["num_key_value_heads"] = None
    if not s.attention:
        c["attn_layer_indices"] = None
        if rng.integers(2):  # a model without attention need not speak of it
            for key in ("attn_layer_indices", "num_attention_heads", "num_key_value_heads",
                        "head_dim"):
                c.pop(key, None)
    if "rope_parameters" in c:
        rope = c["rope_parameters"]
        if s.rotary == s.head_dim // 2:
            del rope["partial_rotary_factor"]
        if s.theta == 10000.0:
            del rope["rope_theta"]
            if "partial_rotary_factor" not in rope:
                c["rope_parameters"] = None


def config_text(c, rng):
    """JSON, with an infinite time step limit as transformers 4 (bare) or 5 (wrapped) writes it."""
    text = json.dumps(c, indent=2)
    return text.replace("Infinity", '{"__float__": "Infinity"}') if rng.integers(2) else text


# ------------------------------------------------------------------------------------------- files

def write_checkpoint(folder, text, weights, dtypes, n_files=1):
    """config.json and the tensors, in one file or in shards with an index."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text)
    tensors = {name: torch.from_numpy(value).to(dtypes[name]).contiguous()
               for name, value in weights.items()}
    if n_files == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(tensors)
    where = {}
    for k in range(n_files):
        file = f"model-{k + 1:05}-of-{n_files:05}.safetensors"
        part = {name: tensors[name] for name in names[k::n_files]}
        save_file(part, folder / file, metadata={"format": "pt"})
        where.update(dict.fromkeys(part, file))
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": where}, indent=2))
