"""Writes a GPT-NeoX checkpoint as the GGUF file that llama.cpp loads: gguf_writer.py CHECKPOINT bf16|q8_0|q4_0 FILE

Tensors get the types that llama.cpp's own quantiser gives them: matrices that of the file, vectors float32, and the
head of a q4_0 file q6_K. The container and the blocks of q8_0 and q4_0 are those of the gguf package.
"""

import json
import re
import sys

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors import safe_open

NAMES = {
    "gpt_neox.embed_in": "token_embd",
    "gpt_neox.final_layer_norm": "output_norm",
    "embed_out": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "attention.query_key_value": "attn_qkv",
    "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}
FILE_TYPES = {
    "bf16": (gguf.LlamaFileType.MOSTLY_BF16, Type.BF16, Type.BF16),
    "q8_0": (gguf.LlamaFileType.MOSTLY_Q8_0, Type.Q8_0, Type.Q8_0),
    "q4_0": (gguf.LlamaFileType.MOSTLY_Q4_0, Type.Q4_0, Type.Q6_K),
}


def name_of(tensor):
    stem, kind = tensor.rsplit(".", 1)
    layer = re.fullmatch(r"gpt_neox\.layers\.(\d+)\.(.+)", stem)
    return f"blk.{layer[1]}.{NAMES[layer[2]]}.{kind}" if layer else f"{NAMES[stem]}.{kind}"


def queries_keys_values(rows, heads):
    """From [head, 3, head size] interleaved to queries, keys, values."""
    return rows.reshape(heads, 3, -1, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)


def q6_k(rows):
    """Blocks of 256 numbers: 16 scales of 8 bits under one of float16, 6 bits a number."""
    numbers = rows.astype(np.float32).reshape(-1, 16, 16)
    largest = np.take_along_axis(numbers, np.abs(numbers).argmax(-1, keepdims=True), -1)[..., 0]
    scales = largest / -32
    top = np.take_along_axis(scales, np.abs(scales).argmax(-1, keepdims=True), -1)
    step = (top / -128).astype(np.float16)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.nan_to_num(np.rint(scales / step.astype(np.float32))).clip(-128, 127)
        quants = np.nan_to_num(np.rint(numbers / (step.astype(np.float32) * scales)[..., None]))
    quants = (quants.clip(-32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low, high = quants & 15, quants >> 4
    low = low[:, :, :2] | low[:, :, 2:] << 4
    high = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    parts = [low.reshape(-1, 128), high.reshape(-1, 64), scales.astype(np.int8).view(np.uint8), step.view(np.uint8)]
    return np.concatenate(parts, -1).reshape(rows.shape[0], -1)


def encoded(rows, kind):
    if kind == Type.BF16:
        return rows.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint8)
    numbers = rows.float().numpy()
    return q6_k(numbers) if kind == Type.Q6_K else gguf.quants.quantize(numbers, kind)


def add_tokenizer(writer, checkpoint, vocabulary):
    with open(f"{checkpoint}/tokenizer.json", encoding="utf-8") as file:
        tokenizer = json.load(file)
    tokens = {i: (token, gguf.TokenType.NORMAL) for token, i in tokenizer["model"]["vocab"].items()}
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]] = added["content"], kind
    padded = [tokens.get(i, (f"[PAD{i}]", gguf.TokenType.UNUSED)) for i in range(vocabulary)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("olmo")  # GPT-NeoX's splitting
    writer.add_token_list([token for token, _ in padded])
    writer.add_token_types([kind for _, kind in padded])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def write(checkpoint, file_type, path):
    with open(f"{checkpoint}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    heads = config["num_attention_heads"]
    file_type, matrix, head = FILE_TYPES[file_type]
    writer = gguf.GGUFWriter(path, "gptneox")
    writer.add_file_type(file_type)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(int(config["rotary_pct"] * config["hidden_size"] / heads))
    writer.add_rope_freq_base(config["rotary_emb_base"])
    writer.add_head_count(heads)
    writer.add_parallel_residual(config["use_parallel_residual"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    add_tokenizer(writer, checkpoint, config["vocab_size"])

    with safe_open(f"{checkpoint}/model.safetensors", "pt") as weights:
        types = {}
        for name in weights.keys():
            shape = weights.get_slice(name).get_shape()
            types[name] = Type.F32 if len(shape) == 1 else head if name.startswith("embed_out") else matrix
            stored = gguf.quant_shape_to_byte_shape(shape, types[name])
            size = int(np.prod(stored))
            writer.add_tensor_info(name_of(name), stored, np.dtype(np.uint8), size, raw_dtype=types[name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, kind in types.items():
            rows = weights.get_tensor(name)
            if "query_key_value" in name:
                rows = queries_keys_values(rows, heads)
            writer.write_tensor_data(rows.float().numpy() if kind == Type.F32 else encoded(rows, kind))
    writer.close()


if __name__ == "__main__":
    write(*sys.argv[1:])
