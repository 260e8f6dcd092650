#!/bin/sh
# Stands where initdb stands in the tests' tools directory. The first call with some arguments runs the real one, later
# calls copy its result, which is five times as quick. Such clusters share their system identifier.
# The two paths are filled in when the tools directory is made.
set -eu
real=REAL
templates=TEMPLATES

dir= pwfile= words= take=
for word; do
  case $take in
    dir) dir=$word take=; continue ;;
    pwfile) pwfile=$word take=; continue ;;
  esac
  case $word in
    -D | --pgdata) take=dir ;;
    --pgdata=*) dir=${word#*=} ;;
    --pwfile) take=pwfile ;;
    --pwfile=*) pwfile=${word#*=} ;;
    *) words="$words $word" ;;
  esac
done
[ -n "$dir" ] || exec "$real" "$@"

key=$({ printf %s "$words"; [ -z "$pwfile" ] || cat "$pwfile"; } | sha256sum | cut -c 1-16)
template=$templates/$key
if [ -d "$template" ]; then
  mkdir -p "$dir"
  chmod 700 "$dir"
  exec cp -a --reflink=auto "$template/." "$dir"
fi
"$real" "$@"
cp -a --reflink=auto "$dir" "$template.$$"
# Another file's cluster may have been first: then its template stays.
mv -T "$template.$$" "$template" 2>/dev/null || rm -rf "$template.$$"
