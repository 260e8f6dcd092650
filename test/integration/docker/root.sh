#!/bin/sh
# Gives one host the root directory that its container would have, inside the caller's mount namespace: the machine's
# programs, and the image's own paths on top. Nothing outside this namespace changes.
# Usage: root.sh ROOT PREFIX FILES UID GID PROGRAM ARGS...
#   PREFIX  the program as it is packed, becomes /opt/pgherd     FILES  a copy of docker/, with `hosts`
set -eu
root=$1 prefix=$2 files=$3 uid=$4 gid=$5
shift 5
mount -t tmpfs -o mode=0755 tmpfs "$root"
for entry in /*; do
  name=${entry#/}
  case "$name" in
  etc | opt | run | var) mkdir "$root/$name" ;;
  *)
    if [ -L "$entry" ]; then
      cp -P "$entry" "$root/$name"
    elif [ -d "$entry" ]; then
      mkdir "$root/$name"
      mount --rbind "$entry" "$root/$name"
    fi
    ;;
  esac
done
# Files that this user may not read (shadow passwords) are no loss.
cp -a /etc/. "$root/etc/" 2>/dev/null || true
cp "$files/hosts" "$root/etc/hosts"
mkdir -p "$root/etc/pgherd" "$root/opt/pgherd" "$root/run/postgresql"
cp "$files/patroni.yml" "$files/proxy.yml" "$root/etc/pgherd/"
cp "$files/entrypoint.sh" "$files/healthcheck.js" "$root/"
mount --rbind "$prefix" "$root/opt/pgherd"
ln -s ../run "$root/var/run"
for volume in pgherd etcd; do
  mkdir -p "$root/var/lib/$volume"
  chmod 0750 "$root/var/lib/$volume"
  chown "$uid:$gid" "$root/var/lib/$volume"
done
chmod 1777 "$root/run/postgresql"
touch "$root/ready"
exec chroot "$root" "$@"
