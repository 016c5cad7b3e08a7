"""Bamba's forward pass in double precision, from the formulas and nothing else.

Recurrent form, one token after another, so that it shares no algorithm with a chunked scan.
`forget` empties one layer's memory in mid-prompt, to show that a checkpoint would notice if an
engine lost it.
"""
import numpy as np


def forward(s, w, tokens, forget=None):
    """Logits [T, V] of every position. s: checkpoints.Shape; w: tensors by name.

    forget: (layer, "conv" | "ssm" | "kv", position).
    """
    x = w["model.embed_tokens.weight"][tokens]
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        mixer = attention if i in s.attention else mamba
        x = x + mixer(s, w, p, rms_norm(x, w[p + "input_layernorm.weight"], s.eps), cut)
        h = rms_norm(x, w[p + "pre_ff_layernorm.weight"], s.eps)
        gate, up = (linear(w, f"{p}feed_forward.{name}_proj", h) for name in ("gate", "up"))
        x = x + linear(w, p + "feed_forward.down_proj", silu(gate) * up)
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.final_layernorm.weight"], s.eps) @ head.T


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def silu(x):
    return x * (0.5 + 0.5 * np.tanh(0.5 * x))


def linear(w, name, x):
    y = x @ w[name + ".weight"].T
    return y + w[name + ".bias"] if name + ".bias" in w else y


def causal_conv(raw, weight, bias):
    """weight [C, 1, K]: the last tap meets the current token."""
    k = weight.shape[2]
    padded = np.concatenate([np.zeros((k - 1, raw.shape[1])), raw])
    return sum(padded[j:j + len(raw)] * weight[:, 0, j] for j in range(k)) + bias


def gate_then_norm(s, weight, y, z):
    gated = (y * silu(z)).reshape(len(y), s.groups, -1)
    return rms_norm(gated, weight.reshape(s.groups, -1), s.eps).reshape(y.shape)


def mamba(s, w, p, u, cut, times=1.0, gate=gate_then_norm):
    """times: factors of in_proj's output [rows]; gate: what out_proj reads, of the norm's weight, y
    and z."""
    p += "mamba."
    z, raw, dt = np.split(linear(w, p + "in_proj", u) * times,
                          [s.inner, s.inner + s.conv_channels], axis=1)
    conv = w[p + "conv1d.weight"], w.get(p + "conv1d.bias", 0.0)
    xbc = causal_conv(raw, *conv)
    if "conv" in cut:
        xbc[cut["conv"]:] = causal_conv(raw[cut["conv"]:], *conv)
    x, b, c = np.split(silu(xbc), [s.inner, s.inner + s.groups * s.state], axis=1)
    x = x.reshape(-1, s.heads, s.width)
    b, c = (np.repeat(m.reshape(-1, s.groups, s.state), s.heads // s.groups, axis=1)
            for m in (b, c))
    dt = np.clip(np.logaddexp(0.0, dt + w[p + "dt_bias"]), *s.dt_limit)
    decay = np.exp(-dt * np.exp(w[p + "A_log"]))
    xdt = x * dt[:, :, None]

    y = np.empty_like(x)
    state = np.zeros((s.heads, s.width, s.state))
    for t in range(len(u)):
        if t == cut.get("ssm"):
            state[:] = 0
        state = decay[t, :, None, None] * state + xdt[t, :, :, None] * b[t, :, None, :]
        y[t] = (state @ c[t, :, :, None])[:, :, 0]
    y += w[p + "D"][:, None] * x

    return linear(w, p + "out_proj", gate(s, w.get(p + "norm.weight"), y.reshape(z.shape), z))


def attention(s, w, p, u, cut):
    p += "self_attn."
    n = len(u)
    q, k, v = (linear(w, p + name, u).reshape(n, -1, s.head_dim)
               for name in ("q_proj", "k_proj", "v_proj"))
    q, k = rotate(q, s.rotary, s.theta), rotate(k, s.rotary, s.theta)
    k, v = (np.repeat(m, s.q_heads // s.kv_heads, axis=1) for m in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(s.head_dim)
    lost = np.s_[:, cut["kv"]:, :cut["kv"]] if "kv" in cut else np.s_[:0]
    scores[lost] = 0
    scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    weights[lost] = 0
    return linear(w, p + "o_proj", np.einsum("hts,shd->thd", weights, v).reshape(n, -1))


def rotate(x, width, theta):
    """Pairs (i, i + width/2) of the first `width` dims; the others pass."""
    half = width // 2
    angle = np.arange(len(x))[:, None, None] * theta ** (-2.0 * np.arange(half) / width)
    a, b = x[..., :half], x[..., half:width]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, x[..., width:]], axis=-1)
