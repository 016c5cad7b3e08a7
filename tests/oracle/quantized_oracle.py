"""Compare libbamba with transformers on checkpoints that compressed-tensors' own Python package has
written.

    quantized_oracle.py --lib libbamba.so [--seeds 2] [--only NAME ...] [--cpu LEVEL ...]

A random small Bamba, Llama and Mamba-2 for each scheme: its linear maps are quantized and packed by
the package's own compressors, which also give the weights back as floats. Bars, with M the largest
logit of a double-precision forward over those weights:
    reference  transformers' float32 run over them differs by at most 3e-4 M
    float32    ours, the files as they are: 2e-5 M, or three times transformers' own float32 error;
               whole prompts, by 7, token by token; and converted to float32 when loaded
    bits       1 and 2 threads: identical bits
    default    ours with activations as the level likes them: 3e-2 M
transformers' own fp8 is written here and read back by its own loader. Granite's stacks of experts
are written here too, as llm-compressor packs them. Exit status 1 if anything fails.
"""
import argparse
import dataclasses
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from compressed_tensors.compressors import BaseCompressor, ModelCompressor
from compressed_tensors.compressors.base import compress_module
from compressed_tensors.quantization import (QuantizationConfig, QuantizationStatus,
                                             apply_quantization_config)
from compressed_tensors.quantization.utils import calculate_qparams
from compressed_tensors.utils import get_direct_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import checkpoints
import granite_family
import hugging
import llama_family
import mamba2_family
import reference
from bamba_oracle import FLOAT_BAR, REFERENCE_BAR, Result, relative
from engine import Engine, Library, Model, cut

DEFAULT_BAR = 3e-2
BLOCK = 128


# ----------------------------------------------------------------------------------------- families

class Bamba:
    name = "bamba"
    forward = staticmethod(reference.forward)
    weights = staticmethod(checkpoints.random_weights)

    @staticmethod
    def shape(rng, seed):
        s = checkpoints.random_shape(rng, seed)
        return dataclasses.replace(s, hidden=128, mlp=256, layers=3, attention=(1,), q_heads=4,
                                   kv_heads=2, head_dim=32, rotary=16, heads=8, width=32,
                                   groups=1 + seed % 2, expand=2, dt_limit=(0.0, np.inf))

    @staticmethod
    def config(s, rng):
        return checkpoints.config_text(checkpoints.config_dict(s, rng, "flat", "F32"), rng)

    load = staticmethod(lambda folder, s, w: hugging.load(folder, s, torch.float32))
    stored = staticmethod(lambda s, w: w)


class Llama:
    name = "llama"
    forward = staticmethod(llama_family.forward)
    weights = staticmethod(llama_family.random_weights)

    @staticmethod
    def shape(rng, seed):
        s = llama_family.random_shape(rng, seed, "default")
        return dataclasses.replace(s, hidden=128, mlp=384, layers=2, q_heads=4,
                                   kv_heads=1 + seed % 2, head_dim=32)

    @staticmethod
    def config(s, rng):
        return checkpoints.config_text(llama_family.config_dict(s, rng, "F32"), rng)

    load = staticmethod(lambda folder, s, w: llama_family.load(folder, s, w, torch.float32))
    stored = staticmethod(lambda s, w: w)


class Mamba2:
    name = "mamba2"
    forward = staticmethod(mamba2_family.forward)
    weights = staticmethod(mamba2_family.random_weights)

    @staticmethod
    def shape(rng, seed):
        s = mamba2_family.random_shape(rng, seed, "transformers", False)
        return dataclasses.replace(s, hidden=128, expand=2, heads=8, head_width=32, layers=2,
                                   proj_bias=bool(seed % 2))

    @staticmethod
    def config(s, rng):
        return checkpoints.config_text(mamba2_family.config_dict(s, rng, "F32"), rng)

    load = staticmethod(lambda folder, s, w: mamba2_family.load(folder, s, w, torch.float32))
    stored = staticmethod(lambda s, w: mamba2_family.renamed(s, w, "embeddings"))


class Granite:
    name = "granite"
    forward = staticmethod(granite_family.forward)
    weights = staticmethod(granite_family.random_weights)
    shape = staticmethod(lambda rng, seed: granite_family.random_shape(rng, seed, "moe"))

    @staticmethod
    def config(s, rng):
        return checkpoints.config_text(granite_family.config_dict(s, rng, "F32"), rng)

    load = staticmethod(lambda folder, s, w: granite_family.load(folder, s, w, torch.float32))
    stored = staticmethod(lambda s, w: w)


FAMILIES = (Bamba, Llama, Mamba2)


# ------------------------------------------------------------------------------------------ schemes

def weights(bits, kind, strategy, symmetric=True, **more):
    return {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": symmetric,
            "dynamic": False, **more}


TOKEN_FP8 = {"num_bits": 8, "type": "float", "strategy": "token", "symmetric": True,
             "dynamic": True}
TENSOR_FP8 = {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": True,
              "dynamic": False}
TOKEN_INT8 = {"num_bits": 8, "type": "int", "strategy": "token", "symmetric": True, "dynamic": True}


def group(w, activations=None, targets=("Linear",)):
    return {"targets": list(targets), "weights": w, "input_activations": activations}


def int4(size, symmetric=True, **more):
    return weights(4, "int", "group", symmetric, group_size=size, **more)


BLOCKS = weights(8, "float", "block", block_structure=[BLOCK, BLOCK])
SCHEMES = {
    "fp8": [group(weights(8, "float", "tensor"), TENSOR_FP8)],
    "fp8-dynamic": [group(weights(8, "float", "channel"), TOKEN_FP8)],
    "fp8-block": [group(BLOCKS, {**TOKEN_FP8, "strategy": "group", "group_size": BLOCK})],
    "fp8-weights": [group(weights(8, "float", "channel"))],
    "fp8-group": [group(weights(8, "float", "group", group_size=32), TOKEN_FP8)],
    "w4a16-32": [group(int4(32))],
    "w4a16-64-asym": [group(int4(64, False))],
    "w4a16-128": [group(int4(128, actorder="weight"))],
    "w4a16-128-asym": [group(int4(128, False))],
    "w4a16-channel": [group(weights(4, "int", "channel"))],
    "w4a16-channel-asym": [group(weights(4, "int", "channel", False))],
    "w8a16-128": [group(weights(8, "int", "group", group_size=128))],
    "w8a16-32-asym": [group(weights(8, "int", "group", False, group_size=32))],
    "w8a16-channel": [group(weights(8, "int", "channel"), targets=("Linear", "Embedding"))],
    "w8a8": [group(weights(8, "int", "channel"), TOKEN_INT8)],
    "w8a8-tensor": [group(weights(8, "int", "tensor"), {**TENSOR_FP8, "type": "int"})],
    "w8a8-asym": [group(weights(8, "int", "channel", False), TOKEN_INT8)],
    "mixed": [group(int4(32), None, ["re:.*(k_proj|in_proj)$"]),
              group(weights(8, "float", "channel"), TOKEN_FP8,
                    ["re:.*(down_proj|o_proj|out_proj)"]),
              group(BLOCKS, None, ["re:.*up_proj$"])],
    "kv-cache": [group(weights(8, "float", "tensor"), TENSOR_FP8)],
    "transformers-fp8": None,
    "transformers-fp8-tensor": None,
    "fp8-experts": None,
}
LEAST_MARGIN = 1e-3                # between the scores of experts: rounding must not exchange them


def ignored(scheme, seed):
    """lm_head as published, by name; or more by expressions."""
    return (["lm_head"] if seed % 2 == 0 or scheme == "mixed"
            else ["re:.*lm_head", "re:.*layers\\.0\\..*(gate|in)_proj"])


# ------------------------------------------------------------------------------- compressed-tensors

def reduce(w, args, pick):
    """Smallest or largest weight for each scale, in the scales' shape."""
    if args.strategy == "tensor":
        return pick(w).reshape(1)
    if args.strategy == "channel":
        return pick(w, 1)[:, None]
    if args.strategy == "group":
        return pick(w.unflatten(1, (-1, args.group_size)), 2)
    down, across = (-(-n // BLOCK) for n in w.shape)
    padded = torch.zeros(down * BLOCK, across * BLOCK, dtype=w.dtype)
    padded[:w.shape[0], :w.shape[1]] = w
    return pick(pick(padded.reshape(down, BLOCK, across, BLOCK), 3), 1)


def calibrate(module):
    args = module.quantization_scheme.weights
    w = module.weight.data
    scale, zero = calculate_qparams(reduce(w, args, torch.amin_),
                                    reduce(w, args, torch.amax_), args)
    module.weight_scale.data = scale.to(module.weight_scale.dtype)
    if hasattr(module, "weight_zero_point"):
        module.weight_zero_point.data = zero.to(module.weight_zero_point.dtype)
    for name in ("input_scale", "k_scale", "v_scale"):
        if hasattr(module, name):
            getattr(module, name).data.fill_(0.5)


def pick(function):
    return lambda t, *dim: function(t, *dim) if dim else function(t)


torch.amin_, torch.amax_ = pick(torch.amin), pick(torch.amax)


def compress(model, scheme, seed, dtype):
    """Quantize and pack the model's linear maps. Returns module name -> weights as floats."""
    groups = {f"group_{i}": g for i, g in enumerate(SCHEMES[scheme])}
    kv = TENSOR_FP8 if scheme == "kv-cache" else None
    config = QuantizationConfig(config_groups=groups, ignore=ignored(scheme, seed),
                                kv_cache_scheme=kv)
    apply_quantization_config(model, config)
    model.to(dtype)
    floats = {}
    for name, module in model.named_modules():
        if getattr(getattr(module, "quantization_scheme", None), "weights", None) is None:
            continue
        calibrate(module)
        compress_module(module)
        state = {k: v.float() if k.endswith("_scale") else v
                 for k, v in get_direct_state_dict(module).items()}
        compressor = BaseCompressor.get_value_from_registry(module.quantization_scheme.format.value)
        floats[name] = compressor.decompress(
            state, module.quantization_scheme)["weight"].detach().double().numpy()
    for module in model.modules():
        for name in ("k_scale", "v_scale"):
            if hasattr(module, name):
                getattr(module, name).data.fill_(0.5)
    return floats


def save(model, folder, config):
    """The tensors and config.json as save_pretrained would write them."""
    folder.mkdir()
    (folder / "config.json").write_text(config)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.quantization_config.quantization_status = QuantizationStatus.COMPRESSED
    compressor.update_config(folder)
    tensors = {k: v.detach().contiguous() for k, v in model.state_dict().items()}
    if getattr(model.config, "tie_word_embeddings", False):
        tensors.pop("lm_head.weight", None)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


# -------------------------------------------------------------------------------- transformers' fp8

def write_fp8(folder, config, stored, by_block):
    """Linear maps as transformers' fp8 stores them. Returns module name -> weights as floats."""
    tensors, floats = {}, {}
    for name, value in stored.items():
        w = torch.from_numpy(value).float()
        if not name.endswith("_proj.weight"):
            tensors[name] = w
            continue
        rows, columns = w.shape
        size = (BLOCK, BLOCK) if by_block else (rows, columns)
        down, across = -(-rows // size[0]), -(-columns // size[1])
        padded = torch.zeros(down * size[0], across * size[1])
        padded[:rows, :columns] = w
        scale = padded.reshape(down, size[0], across, size[1]).abs().amax((1, 3)) / 448
        full = scale.repeat_interleave(size[0], 0).repeat_interleave(size[1], 1)[:rows, :columns]
        codes = (w / full).to(torch.float8_e4m3fn)
        tensors[name] = codes
        tensors[name + "_scale_inv"] = scale if by_block else scale.reshape(())
        floats[name.removesuffix(".weight")] = (codes.float() * full).double().numpy()
    settings = json.loads(config)
    settings["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "dynamic",
                                       "fmt": "e4m3",
                                       "weight_block_size": [BLOCK, BLOCK] if by_block else None,
                                       "modules_to_not_convert": ["lm_head"]}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return floats


# ------------------------------------------------------------------------------- stacks of experts

def write_fp8_experts(folder, config, stored, by_row):
    """Linear maps, those of experts [experts, rows, columns], with a scale for each row or each
    matrix. Returns module name -> weights as floats."""
    tensors, floats = {}, {}
    for name, value in stored.items():
        w = torch.from_numpy(value).float()
        if not name.endswith(("_linear.weight", "_proj.weight")):
            tensors[name] = w
            continue
        scale = w.abs().amax(-1 if by_row else (-2, -1), keepdim=True) / 448
        tensors[name] = (w / scale).to(torch.float8_e4m3fn)
        floats[name.removesuffix(".weight")] = (tensors[name].float() * scale).double().numpy()
        tensors[name + "_scale"] = scale if by_row or w.dim() == 3 else scale.reshape(1)
    scheme = group(weights(8, "float", "channel" if by_row else "tensor"), TOKEN_FP8,
                   ("Linear", "GraniteMoeHybridParallelExpertsLinear"))
    settings = json.loads(config)
    settings["quantization_config"] = {
        "quant_method": "compressed-tensors", "format": "float-quantized",
        "quantization_status": "compressed", "config_groups": {"group_0": scheme},
        "ignore": ["lm_head", "re:.*router"]}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return floats


def check_their_loader(folder, floats, result):
    """transformers, which has no kernels here, reads the same weights."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    modules = dict(model.named_modules())
    for name, value in floats.items():
        theirs = modules[name].weight.detach().double().numpy()
        result.check("loader", relative(theirs, value, np.abs(value).max()), 1e-2)        # bfloat16


# --------------------------------------------------------------------------------------- comparison

def examine(lib, folder, cpu, family, scheme, seed):
    result = Result(seed)
    start = time.monotonic()
    try:
        compare(lib, Path(folder), cpu, family, scheme, seed, result)
    except Exception as failure:  # one bad checkpoint must not hide the others
        traceback.print_exc()
        result.failures.append(f"{type(failure).__name__}: {failure}")
    result.seconds = time.monotonic() - start
    return result


def compare(lib, folder, cpu, family, scheme, seed, result):
    rng = np.random.default_rng([seed, *family.name.encode(), *scheme.encode()])
    dtype = (torch.float32, torch.bfloat16)[seed % 2]
    s = family.shape(rng, seed)
    w = family.weights(rng, s)
    w = checkpoints.rounded(w, dict.fromkeys(w, dtype))
    stored, config = family.stored(s, w), family.config(s, rng)
    short = {name: key for key, name in zip(w, stored)}
    result.about = f"{family.name} {scheme} {str(dtype).removeprefix('torch.')}"
    name = f"{family.name}-{scheme}-{seed}"
    plain, packed = folder / (name + "-plain"), folder / name
    if scheme == "fp8-experts":
        floats = write_fp8_experts(packed, config, stored, seed % 2 == 0)
    elif scheme.startswith("transformers"):
        floats = write_fp8(packed, config, stored, scheme == "transformers-fp8")
        if family is Llama:
            check_their_loader(packed, floats, result)
    else:
        checkpoints.write_checkpoint(plain, config, stored, dict.fromkeys(stored, torch.float32))
        model = family.load(plain, s, w)
        floats = compress(model, scheme, seed, dtype)
        save(model, packed, config)
        if (scheme == "kv-cache" and family is not Mamba2
                and not any(k.endswith("k_scale") for k in model.state_dict())):
            raise RuntimeError("no scales of keys")
    if not floats:
        raise RuntimeError("nothing was quantized")
    check_bytes(packed, len(floats))
    w |= {short[module + ".weight"]: value for module, value in floats.items()}

    tokens = rng.integers(0, s.vocab, 150)
    while family is Granite and granite_family.least_margin(s, w, tokens, None) < LEAST_MARGIN:
        tokens = rng.integers(0, s.vocab, 40)
    want = family.forward(s, w, tokens)
    scale = np.abs(want).max()
    decoded = folder / (name + "-decoded")
    checkpoints.write_checkpoint(decoded, config, family.stored(s, w),
                                 dict.fromkeys(stored, torch.float32))
    theirs = hugging.logits(family.load(decoded, s, w), tokens)[:, :s.vocab]
    result.check("ref", relative(theirs, want, scale), REFERENCE_BAR)
    for level in cpu or [None]:
        at_level(lib, packed, level, tokens, want, max(FLOAT_BAR, 3 * result.errors["ref"]), result)


def at_level(lib, folder, cpu, tokens, want, bar, result):
    """The worst error of any level stands in the result."""
    scale = np.abs(want).max()

    def check(name, found, bar):
        error = relative(found, want, scale)
        result.check(name, max(error, result.errors.get(name, 0)), bar)
        if not error <= bar:
            result.failures.append(f"at level {cpu}")

    with Model(lib, folder, "default", "F32", cpu, "F32") as model, Engine(model) as one, \
            Engine(model, 2) as two:
        for name, pieces in (("whole", None), ("by 7", cut(len(tokens), 7)),
                             ("by 1", cut(len(tokens), 1))):
            found = one.run(model, tokens, pieces)
            check(name, found, bar)
            result.same_bits("2 threads, " + name, found, two.run(model, tokens, pieces))
    with Model(lib, folder, "F32", "F32", cpu, "F32") as model, Engine(model) as engine:
        check("as F32", engine.run(model, tokens), bar)
    with Model(lib, folder, "default", "F32", cpu) as model, Engine(model) as engine:
        check("default", engine.run(model, tokens), DEFAULT_BAR)


def check_bytes(folder, n):
    """As many matrices of small types as there should be."""
    small = (torch.float8_e4m3fn, torch.int8, torch.int32)
    found = sum(t.dtype in small and (name.endswith((".weight", ".weight_packed")))
                for name, t in load_file(folder / "model.safetensors").items())
    if found != n:
        raise RuntimeError(f"{folder}: {found} quantized matrices, expected {n}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lib", required=True, help="path of libbamba.so")
    parser.add_argument("--seeds", type=int, default=2,
                        help="checkpoints of each family and scheme")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="schemes whose name begins so")
    parser.add_argument("--cpu", nargs="*", help="CPU levels of the library; default: its best")
    options = parser.parse_args()

    torch.set_num_threads(1)
    lib, start, results = Library(options.lib), time.monotonic(), []
    schemes = [name for name in SCHEMES if not options.only or name.startswith(tuple(options.only))]
    with tempfile.TemporaryDirectory() as folder:
        for scheme in schemes:
            for family in (Granite,) if scheme == "fp8-experts" else FAMILIES:
                for seed in range(options.first_seed, options.first_seed + options.seeds):
                    results.append(examine(lib, folder, options.cpu, family, scheme, seed))
                    print(results[-1].line(), flush=True)
    failed = sum(bool(r.failures) for r in results)
    print(f"{time.monotonic() - start:.0f} s; {len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
