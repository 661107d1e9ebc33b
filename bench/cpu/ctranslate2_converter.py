"""Converts a GPT-NeoX checkpoint to CTranslate2's int8: ctranslate2_converter.py CHECKPOINT FOLDER"""

import sys

from ctranslate2.converters import TransformersConverter, transformers


class Loader(transformers.GPTNeoXLoader):
    """The package's, given what it reads by the names that transformers had before version 5."""

    def get_model_spec(self, model):
        model.config.rotary_pct = model.config.rope_parameters["partial_rotary_factor"]
        model.embed_out = model.get_output_embeddings()
        return super().get_model_spec(model)


if __name__ == "__main__":
    checkpoint, folder = sys.argv[1:]
    transformers.register_loader("GPTNeoXConfig")(Loader)
    TransformersConverter(checkpoint, low_cpu_mem_usage=True).convert(folder, quantization="int8")
