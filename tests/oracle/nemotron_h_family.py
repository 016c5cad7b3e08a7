"""Nemotron-H and Nemotron 3: one mixer a layer (Mamba-2, attention, MLP, experts); their forward in
double.

transformers 5.23 does not read time_step_limit: it clamps dt from below by time_step_min, and not
in a cached step. So the limit is drawn as none, and time_step_min tiny; a limit is tested by
Mamba-2's own family.
"""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from transformers import AutoModelForCausalLM

import checkpoints
from checkpoints import INFINITY, add_biases, attention_weights, mamba_weights
from reference import linear, mamba, rms_norm

LETTERS = {"M": ("mamba", "linear_attention"), "*": ("attention", "full_attention"),
           "-": ("mlp", "mlp"), "E": ("moe", "moe")}
KINDS = ("dense", "moe", "latent")


@dataclass(frozen=True)
class Shape(checkpoints.Shape):
    pattern: str
    prefix: str
    experts: int
    used: int
    expert_mlp: int
    shared_mlp: int
    latent: int               # 0: none
    expert_groups: int
    top_groups: int
    normalise: bool
    scaling: float

    def describe(self):
        experts = (f"{self.used}/{self.experts}x{self.expert_mlp}+{self.shared_mlp} L{self.latent} "
                   f"g{self.top_groups}/{self.expert_groups} ") if "E" in self.pattern else ""
        return f"{self.pattern} {self.prefix} {experts}{super().describe()}"


def random_shape(rng, seed, kind):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    base = checkpoints.random_shape(rng, seed)
    letters = "M*-" if kind == "dense" else "M*-E"
    pattern = "".join(rng.permutation(list(letters[:1] + letters[-1:]
                                           + "".join(pick(*letters) for _ in range(2)))))
    heads = base.groups * pick(1, 2, 3, 4)
    groups = pick(1, 2, 4)
    size = pick(2, 3, 6)
    top = int(rng.integers(1, groups + 1))
    return Shape(**{**dataclasses.asdict(base), "layers": len(pattern), "heads": heads,
                    "width": pick(4, 8, 12, 20),
                    "attention": tuple(i for i, c in enumerate(pattern) if c == "*"),
                    "attention_bias": False, "dt_limit": (0.0, INFINITY)},
                 pattern=pattern, prefix=pick("backbone.", "model."), experts=groups * size,
                 used=int(rng.integers(1, min(top * size, 5) + 1)), expert_mlp=pick(8, 16, 24, 40),
                 shared_mlp=pick(16, 24, 56), latent=pick(12, 16, 24) if kind == "latent" else 0,
                 expert_groups=groups, top_groups=top, normalise=bool(pick(0, 1, 1)),
                 scaling=pick(1.0, 2.5, 0.7))


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    def mlp(p, inner, width, bias):
        w[p + "up_proj.weight"] = normal(inner, width, std=1.0 / math.sqrt(width))
        w[p + "down_proj.weight"] = normal(width, inner, std=1.0 / math.sqrt(inner))
        if bias:
            add_biases(w, p, ("up_proj", "down_proj"), normal)

    w = {s.prefix + "embeddings.weight": normal(s.vocab, s.hidden, std=0.75 if s.tied else 1.0),
         s.prefix + "norm_f.weight": norm_weight(s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    for i, letter in enumerate(s.pattern):
        p = f"{s.prefix}layers.{i}."
        w[p + "norm.weight"] = norm_weight(s.hidden)
        m = p + "mixer."
        if letter in "M*":
            make = mamba_weights if letter == "M" else attention_weights
            w.update({m + name.split(".", 1)[1]: value
                      for name, value in make(rng, s, normal, norm_weight).items()})
        elif letter == "-":
            mlp(m, s.mlp, s.hidden, s.mlp_bias)
        else:
            width = s.latent or s.hidden
            w[m + "gate.weight"] = normal(s.experts, s.hidden, std=1.5 / math.sqrt(s.hidden))
            w[m + "gate.e_score_correction_bias"] = normal(s.experts, std=0.3)
            w[m + "experts.up_proj"] = normal(s.experts, s.expert_mlp, width,
                                              std=1.0 / math.sqrt(width))
            w[m + "experts.down_proj"] = normal(s.experts, width, s.expert_mlp,
                                                std=1.0 / math.sqrt(s.expert_mlp))
            mlp(m + "shared_experts.", s.shared_mlp, s.hidden, s.mlp_bias)
            if s.latent:
                w[m + "fc1_latent_proj.weight"] = normal(s.latent, s.hidden,
                                                         std=1.2 / math.sqrt(s.hidden))
                w[m + "fc2_latent_proj.weight"] = normal(s.hidden, s.latent,
                                                         std=1.2 / math.sqrt(s.latent))
                if s.mlp_bias:
                    add_biases(w, m, ("fc1_latent_proj", "fc2_latent_proj"), normal)
    return w


def attention(s, w, p, u, cut):
    n = len(u)
    q, k, v = (linear(w, p + name, u).reshape(n, -1, s.head_dim)
               for name in ("q_proj", "k_proj", "v_proj"))
    k, v = (np.repeat(m, s.q_heads // s.kv_heads, axis=1) for m in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) / math.sqrt(s.head_dim)
    hidden = np.triu(np.ones((n, n), bool), 1)
    if "kv" in cut:
        hidden[cut["kv"]:, :cut["kv"]] = True
    scores[:, hidden] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return linear(w, p + "o_proj", np.einsum("hts,shd->thd", weights, v).reshape(n, -1))


def relu2_mlp(w, p, u):
    return linear(w, p + "down_proj", np.maximum(linear(w, p + "up_proj", u), 0.0) ** 2)


def least_gap(ranked, n):
    """Between the n best of each row, best first, and the next."""
    gap = ranked[:, n - 1] - ranked[:, n] if n < ranked.shape[1] else np.array([np.inf])
    return gap[np.isfinite(gap)].min(initial=np.inf)


def experts(s, w, p, u, margins):
    score = 1 / (1 + np.exp(-linear(w, p + "gate", u)))
    choice = score + w[p + "gate.e_score_correction_bias"]
    if s.expert_groups > 1:
        grouped = choice.reshape(len(u), s.expert_groups, -1)
        rating = np.sort(grouped, axis=2)[:, :, -2:].sum(2)
        order = np.argsort(-rating, axis=1, kind="stable")
        margins.append(least_gap(np.take_along_axis(rating, order, 1), s.top_groups))
        out = np.ones(rating.shape, bool)
        np.put_along_axis(out, order[:, :s.top_groups], False, 1)
        choice = np.where(np.repeat(out, grouped.shape[2], axis=1), -np.inf, choice)
    order = np.argsort(-choice, axis=1, kind="stable")
    margins.append(least_gap(np.take_along_axis(choice, order, 1), s.used))
    share = np.take_along_axis(score, order[:, :s.used], 1)
    if s.normalise:
        share = share / (share.sum(1, keepdims=True) + 1e-20)
    x = linear(w, p + "fc1_latent_proj", u) if s.latent else u
    y = np.zeros_like(x)
    for e in range(s.experts):
        rows, slots = np.nonzero(order[:, :s.used] == e)
        inner = np.maximum(x[rows] @ w[p + "experts.up_proj"][e].T, 0.0) ** 2
        y[rows] += s.scaling * share[rows, slots, None] * (inner @ w[p + "experts.down_proj"][e].T)
    return ((linear(w, p + "fc2_latent_proj", y) if s.latent else y)
            + relu2_mlp(w, p + "shared_experts.", u))


def forward(s, w, tokens, forget=None, length=None, margins=None):
    margins = [] if margins is None else margins
    x = w[s.prefix + "embeddings.weight"][tokens]
    for i, letter in enumerate(s.pattern):
        p = f"{s.prefix}layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        u, m = rms_norm(x, w[p + "norm.weight"], s.eps), p + "mixer."
        if letter == "M":
            mine = {"mamba." + name[len(m):]: value
                    for name, value in w.items() if name.startswith(m)}
            x = x + mamba(s, mine, "", u, cut)
        elif letter == "*":
            x = x + attention(s, w, m, u, cut)
        else:
            x = x + (relu2_mlp(w, m, u) if letter == "-" else experts(s, w, m, u, margins))
    head = w[s.prefix + "embeddings.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w[s.prefix + "norm_f.weight"], s.eps) @ head.T


def least_margin(s, w, tokens, length):
    """The smallest distance between the score of an expert, or a group, that is chosen and of one
    that is not."""
    margins = [np.inf]
    forward(s, w, tokens, None, length, margins)
    return min(margins)


def memories(s):
    kinds = {"M": ("conv", "ssm"), "*": ("kv",)}
    return [(i, kind) for i, letter in enumerate(s.pattern) for kind in kinds.get(letter, ())]


def other_settings(s):
    if "E" in s.pattern:
        yield "scaling", dataclasses.replace(s, scaling=1.3 * s.scaling)
        yield "normalise", dataclasses.replace(s, normalise=not s.normalise)
        if s.used > 1:
            yield "used", dataclasses.replace(s, used=s.used - 1)


def config_dict(s, rng, dtype):
    def name(key, *older):
        return (key, *older)[rng.integers(1 + len(older))]

    c = {"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h",
         "vocab_size": s.vocab, "hidden_size": s.hidden, "num_attention_heads": s.q_heads,
         "num_key_value_heads": s.kv_heads, "head_dim": s.head_dim, "intermediate_size": s.mlp,
         "mlp_hidden_act": "relu2", "mamba_num_heads": s.heads, "mamba_head_dim": s.width,
         name("n_groups", "mamba_n_groups"): s.groups, "ssm_state_size": s.state,
         name("conv_kernel", "mamba_d_conv"): s.conv,
         name("use_conv_bias", "mamba_conv_bias"): s.conv_bias,
         name("chunk_size", "mamba_chunk_size"): s.chunk, "layer_norm_epsilon": s.eps,
         "use_bias": s.proj_bias, "mlp_bias": s.mlp_bias, "attention_bias": False,
         "mamba_proj_bias": bool(rng.integers(2)), name("time_step_min", "mamba_dt_min"): 1e-30,
         "max_position_embeddings": s.max_positions, "tie_word_embeddings": s.tied,
         "rope_theta": 10000.0, "rms_norm_eps": 0.5,
         ("torch_dtype", "dtype")[rng.integers(2)]: {"F32": "float32", "BF16": "bfloat16",
                                                     "F16": "float16"}[dtype]}
    if "E" in s.pattern or rng.integers(2):
        c |= {"n_routed_experts": s.experts, "num_experts_per_tok": s.used,
              "n_shared_experts": 1 + int(rng.integers(2)), "moe_intermediate_size": s.expert_mlp,
              "moe_shared_expert_intermediate_size": s.shared_mlp,
              "moe_latent_size": s.latent or None, "n_group": s.expert_groups,
              "topk_group": s.top_groups, "norm_topk_prob": s.normalise,
              "routed_scaling_factor": s.scaling}
    style = rng.integers(3)
    if style == 0:
        c |= {"hybrid_override_pattern": s.pattern, "num_hidden_layers": s.layers}
    else:
        c["layers_block_type"] = [LETTERS[letter][style - 1] for letter in s.pattern]
    return c


def load(folder, s, w, dtype):
    """transformers 5.23 leaves the head of a tied model at random: it is tied here."""
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                         output_loading_info=True)
    missing = set(report["missing_keys"]) - ({"lm_head.weight"} if s.tied else set())
    if missing or any(report[kind] for kind in ("unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    if s.tied:
        model.lm_head.weight = model.get_input_embeddings().weight
    return model.eval()


def nudged(name, value):
    """A correction matters by which experts it prefers."""
    return value[::-1] if name.endswith("e_score_correction_bias") else value * 1.1


def stored(s, w, rng):
    """Experts one by one, as files have them."""
    out = {}
    for name, value in w.items():
        if ".experts." in name:
            before, after = name.split(".experts.")
            out |= {f"{before}.experts.{j}.{after}.weight": np.ascontiguousarray(v)
                    for j, v in enumerate(value)}
        else:
            out[name] = value
    return out
