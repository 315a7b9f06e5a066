#!/bin/sh
# Generates a Python package and a TypeScript package from the OpenAPI description of the code:
# generate.sh FOLDER. `make clients` installs the generators first. A warning is a failure.
set -eu
here=$(dirname "$(realpath "$0")")
tools=$here/../../.venv-clients
out=$(realpath -m "$1")
mkdir -p "$out"

"${PYTHON:-python}" -m forgetscope.api.openapi >"$out/openapi.json"

# The generator formats what it makes with the ruff that stands beside it.
PATH=$tools/bin:$PATH
export PATH
openapi-python-client generate --fail-on-warning --overwrite --meta setup \
    --config "$here/python.yaml" --path "$out/openapi.json" --output-path "$out/python"

mkdir -p "$out/typescript/src"
cd "$out/typescript"
cp "$here"/typescript/*.json .
cp "$here"/typescript/src/*.ts src/
ln -sfn "$(realpath "$tools")/node_modules" node_modules
node node_modules/openapi-typescript/bin/cli.js ../openapi.json \
    --default-non-nullable false --output src/schema.ts
node node_modules/typescript/bin/tsc
