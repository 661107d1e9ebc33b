"""Hugging Face's generate with padding: transformers_serving.py CHECKPOINT bfloat16|float32 THREADS"""

import sys

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

import worker
from serving_worker import Batches
from transformers_worker import Transformers


class Steps(StoppingCriteria):
    """Hands out the tokens of each step, and ends each row at its length."""

    def __init__(self, new, token, stop):
        self.left = torch.tensor(new)
        self.token = token
        self.stop = stop

    def __call__(self, input_ids, scores, **_):
        for row, id in enumerate(input_ids[:, -1].tolist()):
            self.token(row, id)
        self.left -= 1
        return (self.left <= 0) | self.stop()


def generate_by(model):
    def generate(prompts, new, token, stop):
        longest = max(map(len, prompts))
        padded = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        with torch.inference_mode():
            model.generate(
                torch.tensor(padded),
                attention_mask=torch.tensor(mask),
                do_sample=False,
                min_new_tokens=max(new),
                max_new_tokens=max(new),
                pad_token_id=0,
                stopping_criteria=StoppingCriteriaList([Steps(new, token, stop)]),
            )

    return generate


if __name__ == "__main__":
    side = Transformers(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    worker.serve(side, {"logits": worker.logits(side), **Batches(generate_by(side.model)).operations()})
