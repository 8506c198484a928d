"""Writes sampling.json: what transformers' own list of logits processors makes of small rows of logits.

Made with transformers 5.23.0 and torch 2.15.0, on a CPU. The list and its order come from
GenerationMixin._get_logits_processor, given a GenerationConfig. Each case says what is asked (in
Sinter's names), the tokens before, the logits, and which tokens remain with which log-probability.
"""

import json
import random
from pathlib import Path

import torch
import transformers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

VOCAB, STOP = 24, 2


def shortest(x):
    """The shortest decimal that is the same float32."""
    for digits in range(1, 10):
        text = f"{x:.{digits}g}"
        if torch.tensor(float(text), dtype=torch.float32) == x:
            return float(text)
    raise ValueError(x)


def generation_config(asked):
    names = {"typical_p": "typical_p", "min_tokens": "min_new_tokens",
             "no_repeat_ngram": "no_repeat_ngram_size", "bad_words": "bad_words_ids"}
    fields = {names.get(k, k): v for k, v in asked.items() if k != "logit_bias"}
    if "logit_bias" in asked:
        fields["sequence_bias"] = [[[token], float(bias)] for token, bias in asked["logit_bias"]]
    return GenerationConfig(do_sample=True, eos_token_id=STOP, **{"top_k": 0, **fields})


def processors_of(model, asked, prompt):
    config = generation_config(asked)
    model._prepare_special_tokens(config, device="cpu")
    return model._get_logits_processor(config, input_ids_seq_length=len(prompt), device="cpu",
                                       logits_processor=None, prefix_allowed_tokens_fn=None)


def run(model, case):
    ids = torch.tensor([case["prompt"] + case["generated"]])
    scores = torch.tensor([case["logits"]], dtype=torch.float32)
    scores = processors_of(model, case["params"], case["prompt"])(ids, scores)[0].double()
    log_p = torch.log_softmax(scores, -1)
    return [[i, float(f"{log_p[i]:.7f}")] for i in range(VOCAB) if scores[i] > -float("inf")]


def main():
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, hidden_size=8, intermediate_size=8,
                                         num_hidden_layers=1, num_attention_heads=1))
    draw = random.Random(5)
    single = [{"temperature": 0.7}, {"temperature": 1.0, "top_k": 5}, {"temperature": 1.0, "top_p": 0.8},
              {"temperature": 1.0, "min_p": 0.1}, {"temperature": 1.0, "typical_p": 0.6},
              {"temperature": 1.0, "repetition_penalty": 1.3}, {"temperature": 1.0, "no_repeat_ngram": 3},
              {"temperature": 1.0, "bad_words": [[3], [1, 4], [5, 6, 7]]},
              {"temperature": 1.0, "min_tokens": 20}, {"temperature": 1.0, "logit_bias": [[4, 2.5], [9, -3.0]]}]
    wholes = []
    for _ in range(24):
        whole = {"temperature": draw.choice([0.5, 0.8, 1.0, 1.7]), "top_k": draw.choice([0, 4, 9]),
                 "top_p": draw.choice([0.55, 0.9, 1.0]), "min_p": draw.choice([0.02, 0.15]),
                 "typical_p": draw.choice([0.7, 1.0]), "repetition_penalty": draw.choice([1.0, 1.2]),
                 "no_repeat_ngram": draw.choice([0, 2]), "min_tokens": draw.choice([0, 30])}
        whole["logit_bias"] = [[draw.randrange(VOCAB), float(draw.randrange(-4, 4))]]
        whole["bad_words"] = [[draw.randrange(3, VOCAB)], [draw.randrange(VOCAB), draw.randrange(VOCAB)]]
        wholes.append({k: v for k, v in whole.items() if v})
    cases = []
    for params in [p for p in single for _ in range(4)] + wholes:
        # Equal logits, where it is defined which of them stay: torch's sort, and so top-p, is not stable.
        ties = len(cases) % 4 == 3 and params.get("top_p", 1) == 1
        logits = [draw.gauss(0, 2.5) for _ in range(VOCAB)]
        logits = [round(x) if ties else shortest(torch.tensor(x, dtype=torch.float32)) for x in logits]
        tokens = [draw.randrange(8) for _ in range(draw.randrange(4, 16))]
        cut = draw.randrange(1, len(tokens))
        case = {"params": params, "prompt": tokens[:cut], "generated": tokens[cut:], "logits": logits}
        cases.append({**case, "left": run(model, case)})
    out = {"made_with": {"transformers": transformers.__version__, "torch": torch.__version__},
           "stop": [STOP], "cases": cases}
    text = json.dumps(out).replace('{"params"', '\n{"params"') + "\n"
    (Path(__file__).parent / "sampling.json").write_text(text)


if __name__ == "__main__":
    main()
