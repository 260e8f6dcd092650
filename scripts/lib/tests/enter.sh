#!/bin/sh
# First process inside a test file's own network and mount namespace: brings loopback up, puts the file's data on a
# tmpfs, leaves the namespace's name for the leftovers check, and becomes the test.
# Usage: enter.sh WORK_DIRECTORY UID GID PROGRAM ARGS...
set -eu
work=$1 uid=$2 gid=$3
shift 3
ip link set lo up
mount -t tmpfs -o "mode=0755,uid=$uid,gid=$gid" tmpfs "$work/data"
readlink /proc/self/ns/mnt >"$work/namespace"
exec "$@"
