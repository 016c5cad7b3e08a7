"""Compare libbamba with PEFT: random LoRA adapters for random small checkpoints of each family.

    lora_oracle.py --lib libbamba.so [--bamba bamba] [--seeds 20] [--first-seed 0] [--only NAME ...]
                   [--cpu LEVEL]

For each checkpoint one adapter, every third time two with a scale for the second: r, lora_alpha,
use_rslora, rank_pattern, alpha_pattern, lora_bias, bias, layers_to_transform, target_modules as a
list or an expression, linear layers, embedding and head, modules_to_save of embedding and head,
tied or not, ensure_weight_tying. Bars, with M PEFT's largest logit:
    logits     2e-4 M from PEFT's own in float32: whole, by 7, token by token; the stored 16-bit
               types used in place
    teeth      each tensor of the adapter, when it is zero, moves a logit by more than 1e-3 M; but
               for those that no logit depends on (is_idle)
    bits       sessions with the adapters, with one of them and with none in one call: those each
               has alone
    merge      written by `bamba merge --type f32` and opened: 2e-5 M from the adapter beside the
               same weights, 2e-4 M where the rounding of a merged weight shows as often as layers
               share it; transformers opens it too, and gives logits within 2e-4 M; lora_bias is
               refused, and so are weights that layers share and that change in several ways

Groups whose names end in -experts adapt routers and experts too, which transformers has as
parameters: target_parameters names some of them or all.

Left out, since PEFT 0.21.2 or transformers 5.23.0 cannot say what is right:
    - x_proj and dt_proj of Zamba, which are parameters and no nn.Linear
    - routers and experts as transformers 4 had them, each expert a linear layer of its own: see
      tests/api/test_adapter_experts.c
    - conv1d, which is no linear layer
    - out_proj of Falcon-H1, Falcon-Mamba, Mamba, Mamba-2 and Nemotron-H, which PEFT refuses
    - dt_proj of Mamba, whose weight transformers reads without calling the layer: PEFT's adapter
      does nothing. Falcon-Mamba and Jamba call it in quantized models, which `prepared` says all
      are.
Layers of Zamba and Zamba2 share blocks. In transformers 5 each use is a module of its own, which
PEFT adapts apart: all of them or, in the groups "-layer", those of one layer. In transformers 4 the
uses were one module, as in the groups "-as-one": PEFT adapts it once, under its first layer's name,
for all.
"""
import argparse
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import checkpoints
import falcon_h1_family
import granite_family
import hugging
import jamba_family
import llama_family
import mamba1_family
import mamba2_family
import nemotron_h_family
import zamba2_family
import zamba_family
from engine import Adapter, Engine, Library, Model, Session, cut
from families_oracle import Group
from teeth import MAX_DRAWS, MAX_GAIN

LOGITS_BAR, MERGE_BAR, TOOTH = 2e-4, 2e-5, 1e-3
SHARING = zamba_family, zamba2_family    # families whose layers share blocks
# Seeds of shapes in which a block has several uses.
SHAPES = {zamba_family: lambda seed: 3 + 7 * seed, zamba2_family: lambda seed: 2 + 3 * seed}
PROMPT = 70
MAX_ADAPTERS = 40

warnings.filterwarnings("ignore")


class BambaFamily:
    """Of checkpoints.py, in the words of the other families."""
    random_shape = staticmethod(checkpoints.random_shape)
    random_weights = staticmethod(checkpoints.random_weights)

    @staticmethod
    def config_dict(s, rng, dtype):
        return checkpoints.config_dict(s, rng, "flat", dtype)

    @staticmethod
    def load(folder, s, w, dtype):
        return hugging.load(folder, s, dtype)

    @staticmethod
    def stored(s, w, rng):
        return w


# name: family, arguments of its shapes, what PEFT does not adapt, the embedding
GROUPS = {
    "bamba": (BambaFamily, (), ("conv1d",), "embed_tokens"),
    "llama": (llama_family, ("default",), (), "embed_tokens"),
    "falcon-h1": (falcon_h1_family, (), ("conv1d", "out_proj"), "embed_tokens"),
    "mamba1": (mamba1_family, ("transformers",), ("conv1d", "out_proj", "dt_proj"), "embeddings"),
    "falcon-mamba": (mamba1_family, ("falcon",), ("conv1d", "out_proj"), "embeddings"),
    "mamba2": (mamba2_family, ("transformers", False), ("conv1d", "out_proj"), "embeddings"),
    "jamba": (jamba_family, (), ("conv1d",), "embed_tokens"),
} | {
    name + kind: (family, (), ("conv1d",), "embed_tokens")
    for name, family in (("zamba", zamba_family), ("zamba2", zamba2_family))
    for kind in ("", "-layer", "-as-one")
} | {
    "nemotron-h-" + kind: (nemotron_h_family, (kind,), ("conv1d", "out_proj"), "embeddings")
    for kind in nemotron_h_family.KINDS
} | {"granite-" + kind: (granite_family, (kind,), ("conv1d",), "embed_tokens")
     for kind in granite_family.KINDS}

GROUPS |= {name + "-experts": GROUPS[name]
           for name in ("granite-moe", "jamba", "nemotron-h-moe", "nemotron-h-latent")}


def adapts_experts(name):
    return name.endswith("-experts")


def count_blocks(s):
    """How many blocks layers share in turns."""
    return getattr(s, "shared", 1)


def prepared(model, s, as_one):
    """A model as PEFT is to find it: dt_proj is called; as_one: what layers share is one module."""
    if model.config.model_type in ("falcon_mamba", "jamba"):
        model.config._is_quantized = True
    for use, i in enumerate(s.hybrid if as_one else ()):
        first = model.model.layers[s.hybrid[use % count_blocks(s)]]
        name = "shared_transf" if hasattr(first, "shared_transf") else "shared_transformer"
        setattr(model.model.layers[i], name, getattr(first, name))
    return model


def use_of(s, name):
    """The use of a shared block that a name lies in, and what the name says behind it; else
    None."""
    found = re.search(r"layers\.(\d+)\.shared_transf(?:ormer)?\.(.*)", name)
    return found and (s.hybrid.index(int(found[1])), found[2])


def is_idle(s, name, as_one):
    """Whether it is a part of the low-rank terms of another use than the one it lies in, or a bias
    of keys without positions, which all scores of a row have in common."""
    if use_of(s, name) and name.endswith("k_proj.lora_B.default.bias"):
        return not getattr(s, "rope", False)
    number = re.search(r"_adapter_list\.(\d+)\.", name)
    return bool(number) and not as_one and use_of(s, name)[0] != int(number[1])


def parts_uses(s, folder):
    """Whether an adapter changes a weight that layers share not in the same way for all of
    them."""
    changes = {}
    for name, tensor in load_file(f"{folder}/adapter_model.safetensors").items():
        at = use_of(s, name)
        if at and "_adapter_list." not in name:
            changes.setdefault((at[0] % count_blocks(s), at[1]), {})[at[0]] = tensor
    return any("lora" in rest and len(of) < len(s.hybrid[block::count_blocks(s)])
               or any(not torch.equal(t, next(iter(of.values()))) for t in of.values())
               for (block, rest), of in changes.items())


# ----------------------------------------------------------------------------------------- adapters

def parameters_of(model, seed):
    """For target_parameters: PEFT wants the same of all adapters, so the seed alone chooses."""
    rng = np.random.default_rng([seed, 1])
    names = sorted({".".join(n.split(".")[-2:]) for n, _ in model.named_parameters()
                    if ".experts." in n or n.endswith((".router.weight", ".gate.weight"))})
    if seed % 2 == 0:
        return names
    return sorted(rng.choice(names, rng.integers(1, len(names) + 1), replace=False).tolist())


def draw_config(rng, model, refused, embedding, seed, first, layer=None, as_one=False,
                with_experts=False):
    """A LoraConfig that adapts something; in this layer alone, something that layers share."""
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    linear = sorted({re.search(r"(\w+_adapter_list\.\d+\.)?\w+$", n)[0]
                     for n, m in model.named_modules()
                     if isinstance(m, torch.nn.Linear) and (layer is None or ".shared_transf" in n)}
                    - set(refused) - {"lm_head"})
    targets = sorted(rng.choice(linear, rng.integers(1, len(linear) + 1), replace=False).tolist())
    saved = []
    if first and seed % 4 == 1:
        saved = pick([embedding], ["lm_head"], [embedding, "lm_head"])
    for name in (embedding, "lm_head"):
        if name not in saved and seed % 3 == 1:
            targets += pick([name], [])
    has_bias = any(m.bias is not None for n, m in model.named_modules()
                   if isinstance(m, torch.nn.Linear) and n.endswith(tuple(targets)))
    bias = pick("none", "lora_only", "all") if first and has_bias else "none"
    if bias == "all" and any(n.endswith("conv1d.bias") for n, _ in model.named_parameters()):
        bias = "lora_only"
    settings = {"r": int(pick(1, 2, 3, 4, 8, 16)), "lora_alpha": pick(4, 8, 16, 7.5),
                "use_rslora": bool(pick(0, 1)), "lora_dropout": 0.1, "bias": bias,
                "modules_to_save": saved or None, "target_modules": targets,
                "lora_bias": bool(pick(0, 0, 1)) and embedding not in targets,
                "task_type": "CAUSAL_LM"}
    if pick(0, 1):
        settings["rank_pattern"] = {pick(targets[0], f"layers\\.0\\..*{targets[0]}",
                                         f"^.*\\.{targets[0]}"): 5,
                                    targets[-1]: 2}
        settings["alpha_pattern"] = {targets[-1]: 24, "layers.1.*": 3}
    if model.config.tie_word_embeddings and {embedding, "lm_head"} & set(targets + saved):
        settings["ensure_weight_tying"] = bool(pick(0, 1))
    n_layers = model.config.num_hidden_layers
    if layer is not None:
        settings["layers_to_transform"] = [layer]
    elif pick(0, 0, 1) and not as_one and not {embedding, "lm_head"} & set(targets):
        chosen = sorted(rng.choice(n_layers, rng.integers(1, n_layers + 1), replace=False).tolist())
        settings["layers_to_transform"] = pick(chosen, chosen[0])
        if pick(0, 1):
            settings["layers_pattern"] = pick("layers", ["layers"])
    elif pick(0, 0, 1):
        settings["target_modules"] = (r".*\.(?:" + "|".join(targets) + ")"
                                      + "|lm_head" * ("lm_head" in targets))
    if with_experts:
        parameters = parameters_of(model, seed)
        settings |= {"target_parameters": parameters, "lora_dropout": 0.0, "lora_bias": False}
        if pick(0, 1):
            settings.setdefault("rank_pattern", {})[pick(*parameters)] = 3
            settings.setdefault("alpha_pattern", {})["layers.*." + pick(*parameters)] = 5
    return LoraConfig(**settings)


def fill(rng, peft, config):
    """Random numbers in all that was trained; the parameters."""
    filled = []
    for name, p in peft.named_parameters():
        if not p.requires_grad:
            continue
        noise = torch.from_numpy(rng.normal(0.0, 1.0, p.shape)).to(p.dtype)
        if "lora_A" in name:
            noise /= p.shape[1] ** 0.5
        elif "lora_embedding_A" in name:
            noise *= 1.0
        elif "lora_B.default.bias" in name or "lora_B" in name and p.dim() == 1:
            noise *= 0.3
        elif "lora_B" in name or "lora_embedding_B" in name:
            noise *= 0.4 / p.shape[1] ** 0.5
        else:                                            # replaced: near what was there
            noise = p.detach() + noise * 0.3 * p.detach().std()
        p.data.copy_(noise)
        filled.append((name, p))
    return filled


def magnifies_noise(peft, want, sequence):
    """Whether PEFT's own rounding in float32 is half of what a merge may differ by. Of experts it
    is not known: torch does not multiply them in double."""
    if any(".experts." in name for name, _ in peft.named_parameters()):
        return False
    return (np.abs(hugging.logits(peft.double(), sequence) - want).max()
            > MERGE_BAR / 2 * np.abs(want).max())


def make_adapter(rng, base, draw, folder, sequence, is_idle):
    """Draw, save and try until every tensor shows that is not idle. Returns its folder."""
    for _ in range(MAX_ADAPTERS):
        model = base()
        try:
            peft = get_peft_model(model, draw(model))
        except (ValueError, TypeError):  # it adapts nothing, or what is tied both ways
            continue
        filled = fill(rng, peft.eval(), None)
        want = hugging.logits(peft, sequence)
        least = np.inf
        for name, p in filled:
            if is_idle(name) or p.dim() == 1 and not any(p is q for _, q in filled if q.dim() == 1):
                continue
            kept = p.data.clone()
            p.data.zero_()
            least = min(least,
                        np.abs(hugging.logits(peft, sequence) - want).max() / np.abs(want).max())
            p.data.copy_(kept)
        if least < TOOTH or not np.isfinite(want).all():
            continue
        peft.save_pretrained(folder)
        try:
            reopened = PeftModel.from_pretrained(base(), folder).eval()
        except RuntimeError:  # patterns that overlap are saved in another order
            continue
        # 0.21.2 ties the head again on opening only if the embedding is called embed_tokens
        if (np.abs(hugging.logits(reopened, sequence) - want).max()
                > LOGITS_BAR * np.abs(want).max()):
            continue
        if not magnifies_noise(reopened, want, sequence):
            return folder
    raise RuntimeError(f"{MAX_ADAPTERS} adapters without teeth")


def peft_logits(base, folders, scales, sequence):
    """PEFT's own, of the adapters together, loaded from their files."""
    model = PeftModel.from_pretrained(base(), folders[0], adapter_name="a0")
    for i, folder in enumerate(folders[1:], 1):
        model.load_adapter(folder, adapter_name=f"a{i}")
    model.base_model.set_adapter([f"a{i}" for i in range(len(folders))])
    for module in model.modules():
        for i, scale in enumerate(scales):
            factors = getattr(module, "scaling", None)
            if isinstance(factors, dict) and f"a{i}" in factors:
                factors[f"a{i}"] *= scale
    return hugging.logits(model.eval(), sequence)


# --------------------------------------------------------------------------------------- comparison

def run(engine, model, sequence, pieces, adapters):
    rows, at = [], 0
    with Session(model, len(sequence), adapters) as session:
        for n in pieces:
            rows += engine.feed_batch([(session, sequence[at:at + n])])
            at += n
    return np.concatenate(rows)


def check_bits(engine, model, rng, vocab, uses, report):
    """Sessions with all adapters, with the first, and with none, in calls of few rows and of
    many."""
    lists = [uses, uses[:1], (), uses, ()]
    texts = [rng.integers(0, vocab, 40) for _ in lists]
    for sizes in ((1, 2, 5, 1, 3), (17, 12, 11, 9, 30)):
        if sum(sizes) > 32 and engine.cpu == "c":  # OpenBLAS's sums depend on the number of rows
            continue
        alone, few = [], sum(sizes) <= 32
        for use, text, n in zip(lists, texts, sizes):
            with Session(model, 64, use) as session, Session(model, 64, ()) as other:
                parts = [(session, text[:n])] + ([] if few else [(other, texts[0][:40])])
                alone.append(engine.feed_batch(parts)[0])
        sessions = [Session(model, 64, use) for use in lists]
        together = engine.feed_batch([(s, t[:n]) for s, t, n in zip(sessions, texts, sizes)])
        for s in sessions:
            s.close()
        for i, (a, b) in enumerate(zip(alone, together)):
            if not np.array_equal(a, b):
                report(f"bits: session {i} of {sizes} differs by {np.abs(a - b).max():g}")


def check_merge(options, lib, base_folder, folders, scales, parts, bar, found, load, sequence,
                report):
    """parts: whether an adapter parts uses of a weight; load: what opens it in transformers, or
    None."""
    out = Path(base_folder).with_name(Path(base_folder).name + "-merged")
    command = [options.bamba, "merge", "-m", base_folder, "-o", out, "--type", "f32"]
    for folder, scale in zip(folders, scales):
        command += ["--adapter", f"{folder}={scale}" if scale != 1 else folder]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if parts:
        if not done.returncode or "layers share the weights" not in done.stderr:
            report(f"merge of several changes: expected a refusal, found: {done.stderr.strip()}")
        return 0.0
    if any(json.loads((Path(f) / "adapter_config.json").read_text())["lora_bias"] for f in folders):
        if not done.returncode or "a bias of B is not merged" not in done.stderr:
            report(f"merge with lora_bias: expected a refusal, found: {done.stderr.strip()}")
        return 0.0
    if done.returncode:
        report(f"merge: {done.stderr.strip()}")
        return 0.0
    with Model(lib, out, "F32", "F32", options.cpu) as model, Engine(model) as engine:
        merged = run(engine, model, sequence, [len(sequence)], ())
    error = np.abs(merged - found).max() / np.abs(found).max()
    if not error <= bar:
        report(f"merge: {error:.1e} M from the adapter beside the weights")
    if load:
        error2 = (np.abs(hugging.logits(load(out), sequence)[:, :merged.shape[1]] - merged).max()
                  / np.abs(merged).max())
        if not error2 <= LOGITS_BAR:
            report(f"merge: transformers gives logits {error2:.1e} M away")
    return error


def draw_steady(family, arguments, rng, seed, dtype, with_experts):
    """A shape and its rounded weights. The norm behind the attention of a shared block may magnify
    rounding beyond every bar: such checkpoints are drawn anew, as are those without the experts
    that are wanted."""
    for attempt in range(MAX_DRAWS):
        s = family.random_shape(rng, seed + attempt * with_experts, *arguments)
        w = family.random_weights(rng, s)
        if with_experts and not any("block_sparse_moe" in n or ".experts." in n for n in w):
            continue
        w = checkpoints.rounded(w, dict.fromkeys(w, dtype))
        if family not in SHARING or Group("", family).gain(s, w, rng) <= MAX_GAIN:
            return s, w
    raise RuntimeError(f"{MAX_DRAWS} draws without a steady checkpoint")


def load_merged(family, s, folder):
    """With the family's own remedies for what from_pretrained does to its checkpoints."""
    config = json.loads((folder / "config.json").read_text())
    w = {name: tensor.float().numpy() for file in folder.glob("*.safetensors")
         for name, tensor in load_file(file).items()}
    tied = config.get("tie_word_embeddings", s.tied)
    if family is zamba_family:
        # The key also ties blocks, and stays when a merge parts embedding and head.
        tied = "lm_head.weight" not in w
    return family.load(folder, dataclasses.replace(s, tied=tied), w, torch.float32)


def opener(family, s, tensors):
    """What opens a merged checkpoint in transformers; None where it knows mamba_ssm's names
    only."""
    if family is BambaFamily:
        return lambda folder: hugging.load(folder, s, torch.float32)
    if "backbone.embedding.weight" in tensors:
        return None
    if family in (nemotron_h_family, *SHARING):
        return lambda folder: load_merged(family, s, folder)
    return lambda folder: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def compare(options, lib, folder, name, seed, report):
    family, arguments, refused, embedding = GROUPS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    dtype = list(checkpoints.DTYPES)[seed % 3]
    as_one, one_layer = name.endswith("-as-one"), name.endswith("-layer")
    shape = SHAPES[family](seed) if as_one or one_layer else seed
    s, w = draw_steady(family, arguments, rng, shape, checkpoints.DTYPES[dtype],
                       adapts_experts(name))
    base_folder = Path(folder) / f"{name}-{seed}"
    tensors = family.stored(s, w, rng)
    checkpoints.write_checkpoint(base_folder,
                                 checkpoints.config_text(family.config_dict(s, rng, dtype), rng),
                                 tensors, dict.fromkeys(tensors, checkpoints.DTYPES[dtype]),
                                 1 + seed % 2)

    def base():
        return prepared(family.load(base_folder, s, w, torch.float32), s, as_one)

    def draw(number):
        layer = s.hybrid[(0, -1)[(seed + number) % 2]] if one_layer else None
        return lambda model: draw_config(rng, model, refused, embedding, seed, number == 0, layer,
                                         as_one, adapts_experts(name))

    sequence = rng.integers(0, s.vocab, PROMPT)
    scales = [1.0] if seed % 3 else [1.0, 0.5]
    folders = [make_adapter(rng, base, draw(i), f"{base_folder}-adapter{i}", sequence,
                            lambda name: is_idle(s, name, as_one))
               for i in range(len(scales))]
    want = peft_logits(base, folders, scales, sequence)
    scale, errors = np.abs(want).max(), {}
    types = ["F32"] if dtype == "F32" else ["F32", "default"]
    for weights in types:
        with Model(lib, base_folder, weights, "F32", options.cpu, "F32") as model, \
             Engine(model) as engine, Engine(model, n_threads=2) as two:
            engine.cpu = model.info().cpu.decode()
            adapters = [Adapter(model, f) for f in folders]
            uses = list(zip(adapters, scales))
            for pieces in ([PROMPT], cut(PROMPT, 7), cut(PROMPT, 1)):
                found = run(engine, model, sequence, pieces, uses)
                key = f"{weights} by {pieces[0]}"
                errors[key] = np.abs(found - want).max() / scale
                if not errors[key] <= LOGITS_BAR:
                    report(f"{key}: {errors[key]:.1e} M from PEFT")
                if pieces[0] == PROMPT:
                    whole = found
                    if not np.array_equal(run(two, model, sequence, pieces, uses), found):
                        report("2 threads give other bits")
            check_bits(engine, model, rng, s.vocab, uses, report)
            for a in adapters:
                a.close()
        if options.bamba and weights == "F32":
            parts = family in SHARING and not as_one and any(parts_uses(s, f) for f in folders)
            errors["merge"] = check_merge(options, lib, base_folder, folders, scales, parts,
                                          LOGITS_BAR if as_one else MERGE_BAR, whole,
                                          opener(family, s, tensors), sequence, report)
    return f"{dtype} {s.describe()}", errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lib", required=True, help="path of libbamba.so")
    parser.add_argument("--bamba", help="path of the program, to merge with; default: none, and "
                                        "merges are not compared")
    parser.add_argument("--seeds", type=int, default=20, help="checkpoints of each family")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="families", choices=list(GROUPS))
    parser.add_argument("--cpu", help="CPU level of the library; default: its best")
    options = parser.parse_args()

    torch.set_num_threads(1)
    lib, start, failed, n = Library(options.lib), time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or GROUPS:
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                failures, about, errors = [], "", {}
                try:
                    about, errors = compare(options, lib, folder, name, seed, failures.append)
                except Exception as failure:  # one bad checkpoint must not hide the others
                    traceback.print_exc()
                    failures.append(f"{type(failure).__name__}: {failure}")
                n, failed = n + 1, failed + bool(failures)
                worst = max(errors.values(), default=0.0)
                print(f"{name} {seed}: {'FAILED ' + '; '.join(failures) if failures else 'ok'} "
                      f"{worst:.1e} {about}",
                      flush=True)
    print(f"{time.monotonic() - start:.0f} s; {n - failed} passed, {failed} failed"
          + ("" if options.bamba else "; merges were not compared: no --bamba"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
