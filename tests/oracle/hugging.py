"""transformers' side of the comparison: whole prompts only.

Its one-token decode does not apply time_step_limit (5.23.0), and a config without attention layers
needs use_cache=False, so nothing here uses a cache.
"""
import numpy as np
import torch
import transformers
from transformers import BambaConfig, BambaForCausalLM

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.manual_seed(0)


def assert_rope_is_half_a_head():
    """5.0.0 built the table for the whole head; 4.57.6, 5.23.0 and the training code use half of
    it."""
    config = BambaConfig(hidden_size=64, num_attention_heads=2, num_key_value_heads=1,
                         mamba_n_heads=8, num_hidden_layers=1, attn_layer_indices=[0],
                         vocab_size=32, intermediate_size=32)
    width = 2 * BambaForCausalLM(config).model.rotary_emb.inv_freq.numel()
    if width != 16:
        raise RuntimeError(f"transformers {transformers.__version__} rotates {width} of 32 dims of "
                           f"a Bamba head, "
                           "expected 16: it cannot serve as a reference")


def load(folder, s, dtype):
    """The model of a checkpoint folder, computing in dtype."""
    settings, _ = BambaConfig.get_config_dict(folder)
    settings.pop("layer_types", None)  # its Bamba class derives them and refuses the key
    config = BambaConfig.from_dict(settings)
    # its class ignores all other spellings of the width
    if s.attention and s.rotary != s.head_dim // 2:
        config.rope_parameters["partial_rotary_factor"] = s.rotary / s.head_dim
    model, report = BambaForCausalLM.from_pretrained(folder, config=config, dtype=dtype,
                                                     output_loading_info=True)
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    if s.attention and 2 * model.model.rotary_emb.inv_freq.numel() != s.rotary:
        raise RuntimeError(f"{folder}: transformers does not rotate {s.rotary} of {s.head_dim} "
                           f"dims")
    return model.eval()


def logits(model, tokens):
    """[T, V] float64."""
    with torch.inference_mode():
        out = model(torch.from_numpy(np.asarray(tokens, np.int64))[None], use_cache=False).logits
    return out[0].to(torch.float64).numpy()


def hidden(model, tokens):
    """What the head multiplies, [T, D] float64: the stream after the final norm."""
    with torch.inference_mode():
        out = model.base_model(torch.from_numpy(np.asarray(tokens, np.int64))[None],
                               use_cache=False).last_hidden_state
    return out[0].to(torch.float64).numpy()


def resave(model, folder, shard_bytes):
    """Let transformers write the checkpoint: its own config.json, its own shards."""
    model.save_pretrained(folder, max_shard_size=shard_bytes)
