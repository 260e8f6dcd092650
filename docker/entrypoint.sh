#!/bin/sh
# What a container of the image `pgherd` runs: `agent`, `proxy`, or any other command as it is given.
set -eu

data=/var/lib/pgherd
main=/opt/pgherd/dist/main.js

fail() {
  echo "entrypoint: $1" >&2
  exit 1
}

# NAME_FILE names a file that holds the value of NAME: passwords need not stand in a container's environment.
from_file() {
  eval "file=\${$1_FILE:-}"
  [ -n "$file" ] || return 0
  [ -r "$file" ] || fail "$1_FILE: cannot read $file"
  eval "$1=\$(cat \"\$file\")"
  export "${1?}"
  unset "$1_FILE"
}

case "${1:-agent}" in
agent)
  for name in SUPERUSER REPLICATION REWIND RESTAPI ETCD3; do
    from_file "PATRONI_${name}_PASSWORD"
  done
  [ -n "${PATRONI_NAME:-}" ] || fail 'PATRONI_NAME is not set: give this member a name, for example pg1'
  [ -w "$data" ] || fail "cannot write to $data: make the volume belong to uid $(id -u)"
  # PostgreSQL refuses a data directory that others may look into; its parent is what the volume gives us.
  umask 077
  exec "$main" agent "${2:-/etc/pgherd/patroni.yml}"
  ;;
proxy)
  exec "$main" proxy "${2:-/etc/pgherd/proxy.yml}"
  ;;
ctl)
  shift
  exec "$main" ctl "$@"
  ;;
*)
  exec "$@"
  ;;
esac
