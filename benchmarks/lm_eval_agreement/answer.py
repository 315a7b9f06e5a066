"""Second half of `run.sh`: lm-evaluation-harness scores the questions, in its own environment."""

import argparse
import json
import re
from importlib.metadata import version
from pathlib import Path

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

DIGITS = 7  # behind the point: what float32 holds of such sums


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="the folder with model and questions")
    parser.add_argument("output", type=Path, help="the JSON file to write")
    given = parser.parse_args()
    asked = json.loads((given.work / "questions.json").read_text(encoding="utf-8"))
    model = HFLM(
        pretrained=str(given.work / "model"),
        dtype="float32",
        device="cpu",
        batch_size=1,
        max_length=512,
    )
    tasks = []
    for task in asked["tasks"]:
        pairs = [(item, option) for item in task["items"] for option in item["options"]]
        requests = [
            Instance("loglikelihood", {}, (item["prompt"], option), number)
            for number, (item, option) in enumerate(pairs)
        ]
        scores: dict[str, list[float]] = {item["id"]: [] for item in task["items"]}
        answers = model.loglikelihood(requests, disable_tqdm=True)
        for (item, _), (score, _) in zip(pairs, answers, strict=True):
            scores[item["id"]].append(round(score, DIGITS))
        tasks.append({"task": task["task"], "params": task["params"], "log_likelihoods": scores})
    content = {
        "made_by": "benchmarks/lm_eval_agreement/run.sh; not to be edited",
        "meaning": "nats of each option given the prompt, summed over its tokens; float32, CPU",
        "versions": {name: version(name) for name in ("lm_eval", "transformers", "torch")},
        "model_sha256": asked["model_sha256"],
        "tasks": tasks,
    }
    text = json.dumps(content, indent=1)
    text = re.sub(r"\[([^][{}]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
