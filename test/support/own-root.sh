#!/bin/sh
# Gives one host a root directory of its own inside the caller's mount namespace: everything of the machine is there, and
# besides it the paths that an old deployment names. Nothing outside this namespace changes.
# Usage: own-root.sh ROOT PGSQL BIN_DIR LOCALE PROGRAM ARGS...
set -eu
root=$1 pgsql=$2 bin=$3 locale=$4
shift 4
mount -t tmpfs -o mode=0755 tmpfs "$root"
for entry in /*; do
  name=${entry#/}
  if [ -L "$entry" ]; then
    cp -P "$entry" "$root/$name"
  elif [ -d "$entry" ] && [ "$name" != usr ]; then
    mkdir "$root/$name"
    mount --rbind "$entry" "$root/$name"
  fi
done
mkdir -p "$root/usr"
for entry in /usr/*; do
  name=${entry#/usr/}
  if [ -d "$entry" ]; then
    mkdir "$root/usr/$name"
    mount --rbind "$entry" "$root/usr/$name"
  fi
done
mkdir -p "$root/usr/pgsql-12" "$root/pgsql"
ln -s "$bin" "$root/usr/pgsql-12/bin"
mount --bind "$pgsql" "$root/pgsql"
# Servers of several hosts share one machine here: each gets a socket directory of its own.
mount -t tmpfs -o mode=1777 tmpfs "$root/run/postgresql"
# The locale is compiled into a directory that lies over the machine's own for this host alone.
mkdir "$root/locale"
cp -a /usr/lib/locale/. "$root/locale/"
localedef -i "${locale%%.*}" -f "${locale##*.}" "$root/locale/$locale"
mount --bind "$root/locale" "$root/usr/lib/locale"
touch "$root/ready"
exec chroot "$root" "$@"
