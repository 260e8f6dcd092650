#!/bin/sh
# Stands where node is looked for, and tells how it was called.
echo "arguments: $*"
env | grep '^PATRONI_'
