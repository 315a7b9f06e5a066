#!/bin/sh
# Scores of lm-evaluation-harness for tests/data/lm_eval_agreement.json, which a test compares with
# ours. The harness lives in an environment of its own: its dependencies are not ours.
#
#     benchmarks/lm_eval_agreement/run.sh      (after `make test` or `make check`)
set -eu
cd "$(dirname "$0")/../.."
ours=${VENV:-.venv}
theirs=.venv-lm-eval
data=${FORGETSCOPE_DATA_DIR:-../shared/data}

if ! [ -e "$theirs/.done" ]; then
    # Equal libraries, so that only the scoring differs.
    same=$("$ours/bin/python" -c 'import transformers; print(transformers.__version__)')
    "${PYTHON:-python3}" -m venv "$theirs"
    "$theirs/bin/pip" install --quiet torch==2.13.0 # alone first: else it may come with a GPU's libraries
    "$theirs/bin/pip" install --quiet 'lm-eval[hf]==0.4.13' "transformers==$same"
    touch "$theirs/.done"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$ours/bin/python" benchmarks/lm_eval_agreement/ask.py "$data" "$work"
"$theirs/bin/python" benchmarks/lm_eval_agreement/answer.py "$work" tests/data/lm_eval_agreement.json
