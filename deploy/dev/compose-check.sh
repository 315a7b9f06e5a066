#!/bin/sh
# Validates the compose files with the real docker-compose, without a Docker engine.
# $COMPOSE names a docker-compose; else the one on PATH; else Debian's package of a later release,
# which is one binary: it is unpacked into the cache and not installed, so releases do not mix.
set -eu
cd "$(dirname "$0")/../.."
release=trixie
cache=${XDG_CACHE_HOME:-$HOME/.cache}/forgetscope/docker-compose-$release

fail() {
    echo "compose-check: $*" >&2
    exit 1
}

find_mirror() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' | sort -u | head -n 1
}

fetch() {
    command -v apt-get >/dev/null || fail "no docker-compose on PATH and no apt to fetch one"
    # The mirror this machine uses already.
    mirror=$(find_mirror)
    if [ -z "$mirror" ]; then
        # The package lists are not there yet; they tell which source is Debian's.
        { apt-get update || sudo -n apt-get update; } >/dev/null 2>&1 || true
        mirror=$(find_mirror)
    fi
    [ -n "$mirror" ] || fail "no Debian mirror among this machine's package sources"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keys] $mirror $release main" >"$work/sources.list"
    apt() {
        apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
            -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" \
            -o APT::Sandbox::User= "$@"
    }
    apt update >"$work/log" 2>&1 || fail "cannot list the packages of $release: $(tail -n 5 "$work/log")"
    (cd "$work" && apt download docker-compose >log 2>&1) ||
        fail "cannot download docker-compose: $(tail -n 5 "$work/log")"
    dpkg-deb -x "$work"/docker-compose_*.deb "$work/unpacked"
    mkdir -p "$cache"
    # A link into the package.
    cp -L "$work/unpacked/usr/bin/docker-compose" "$cache/docker-compose"
}

compose=${COMPOSE:-$(command -v docker-compose || echo "$cache/docker-compose")}
if [ ! -x "$compose" ]; then fetch; fi

export POSTGRES_PASSWORD=check RABBITMQ_PASSWORD=check FORGETSCOPE_S3_SECRET_KEY=check-check
export FORGETSCOPE_S3_ACCESS_KEY=check DATA_FOLDER=/data MODELS_FOLDER=/models
config() {
    # shellcheck disable=SC2086  # a list of words
    "$compose" --env-file deploy/env.example $1 config --quiet
}
for files in "" "-f deploy/compose.gpu.yml" "-f deploy/compose.seaweedfs.yml" \
    "-f deploy/compose.gpu.yml -f deploy/compose.seaweedfs.yml"; do
    config "-f docker-compose.yml $files"
done
for secret in POSTGRES_PASSWORD RABBITMQ_PASSWORD FORGETSCOPE_S3_SECRET_KEY; do
    if (eval "$secret=" && config "-f docker-compose.yml" 2>/dev/null); then
        fail "the stack would start without $secret"
    fi
done
echo "compose-check: the compose files are valid ($("$compose" version --short))"
