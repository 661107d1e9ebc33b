"""CTranslate2's generate_batch in int8: ctranslate2_serving.py MODEL THREADS

Of prompts of several lengths the package reads as many tokens at once as the shortest has, and the others' further
tokens one in each step of the batch.
"""

import sys

import worker
from ctranslate2_worker import CTranslate2
from serving_worker import Batches


def generate_by(side):
    def generate(prompts, new, token, stop):
        left = list(new)

        def chosen(result):  # called for each sequence that is past its prompt; true ends it
            token(result.batch_id, result.token_id)
            left[result.batch_id] -= 1
            return left[result.batch_id] <= 0 or stop()

        side.generator.generate_batch(
            [side.names(prompt) for prompt in prompts],
            max_length=max(new),
            min_length=max(new),
            include_prompt_in_result=False,
            max_batch_size=0,
            callback=chosen,
        )

    return generate


if __name__ == "__main__":
    side = CTranslate2(sys.argv[1], int(sys.argv[2]))
    worker.serve(side, {"logits": worker.logits(side), **Batches(generate_by(side)).operations()})
