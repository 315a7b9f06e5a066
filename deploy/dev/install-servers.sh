#!/bin/sh
# Installs the servers that the tests run for real, from Debian's packages, if they are missing:
# PostgreSQL, RabbitMQ, the Ceph S3 gateway and Chromium. Starts none of them.
set -eu

# The packages of the programs that are not there.
missing=
need() { # need PACKAGE PROGRAM...
    package=$1
    shift
    for program in "$@"; do
        # Debian keeps some of them off PATH; sbin may be missing from an ordinary user's.
        for folder in $(echo "$PATH" | tr : ' ') /usr/sbin /usr/lib/rabbitmq/bin /usr/lib/postgresql/*/bin; do
            [ -x "$folder/$program" ] && continue 2
        done
        missing="$missing $package"
        return
    done
}
need postgresql initdb postgres
need rabbitmq-server rabbitmq-server rabbitmqctl epmd
need radosgw radosgw radosgw-admin
need ceph-mon ceph-mon
need ceph-osd ceph-osd
need ceph-common ceph ceph-authtool monmaptool
need chromium chromium
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
fi
if ! command -v apt-get >/dev/null || ! command -v "${as_root:-env}" >/dev/null; then
    echo "Missing Debian packages:$missing" >&2
    echo "Install them as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# Debian starts a server when its package is installed, unless this file says no. The tests start
# their own, on other ports and in other folders.
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-forgetscope
restore() {
    $as_root rm -f "$policy"
    if [ -e "$kept" ]; then $as_root mv "$kept" "$policy"; fi
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
if [ -e "$policy" ]; then $as_root mv "$policy" "$kept"; fi
printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
$as_root chmod 755 "$policy"

echo "installing$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086  # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
