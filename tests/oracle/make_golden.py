"""Write tests/arch/golden: one tiny checkpoint and the logits transformers computes for it in
float32.

    make_golden.py FOLDER

Run once; the C tests read the files, so that they need no Python. The prompt of 70 tokens, token i
= (37 i + 11) mod 64, is longer than a scan chunk; logits.npy holds those of its last 40 positions,
float32 [40, 64]. The tolerance of a comparison is 2e-5 of the largest logit, which the
double-precision forward confirms here.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch

import checkpoints
import hugging
import teeth
from reference import forward

SHAPE = checkpoints.Shape(
    vocab=64, hidden=32, mlp=40, layers=3, attention=(1,), q_heads=4, kv_heads=2, head_dim=8,
    rotary=4, theta=10000.0, eps=1e-5, tied=False, heads=8, width=8, groups=2, state=16, conv=4,
    expand=2, conv_bias=True, proj_bias=False, attention_bias=False, mlp_bias=False,
    dt_limit=(0.002, 6.0), chunk=16, max_positions=512)
N_PROMPT = 70
N_LOGITS = 40
SEED = 1


def main(folder):
    hugging.assert_rope_is_half_a_head()
    rng = np.random.default_rng(SEED)
    weights = checkpoints.random_weights(rng, SHAPE)
    dtypes = checkpoints.storage(weights, torch.bfloat16, keep_ssm_float32=True)
    weights = checkpoints.rounded(weights, dtypes)
    tokens = (37 * np.arange(N_PROMPT) + 11) % SHAPE.vocab
    dull, _ = teeth.dull_parts(SHAPE, weights, tokens)
    if dull:
        sys.exit(f"no teeth: {', '.join(dull)}")

    config = checkpoints.config_dict(SHAPE, rng, "flat", "BF16")
    checkpoints.write_checkpoint(folder, json.dumps(config, indent=2) + "\n", weights, dtypes)
    logits = hugging.logits(hugging.load(folder, SHAPE, torch.float32), tokens)
    exact = forward(SHAPE, weights, tokens)
    scale = np.abs(exact).max()
    error = np.abs(logits - exact).max() / scale
    print(f"largest logit {scale:.3g}, transformers' error {error:.1e} of it")
    if error > 5e-6:
        sys.exit("transformers' rounding is too large for a golden result")
    np.save(Path(folder) / "logits.npy", logits[-N_LOGITS:].astype("<f4"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
