#!/bin/sh
# Installs Debian packages, as root, without starting or enabling their services.
# Keeps Debian from creating a database cluster of its own while it does so, and takes both guards away afterwards,
# also when it is interrupted. Services that ran before are not touched: nothing here restarts or stops anything.
set -u

guard=/usr/sbin/policy-rc.d
cluster_dir=/etc/postgresql-common/createcluster.d
cluster_guard=$cluster_dir/pgherd-setup.conf
guard_is_ours=no

clean_up() {
  [ "$guard_is_ours" = yes ] && rm -f "$guard"
  rm -f "$cluster_guard"
  rmdir --ignore-fail-on-non-empty "$cluster_dir" 2>/dev/null
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ ! -e "$guard" ]; then
  guard_is_ours=yes
  printf '#!/bin/sh\nexit 101\n' >"$guard"
  chmod 755 "$guard"
fi
mkdir -p "$cluster_dir"
echo 'create_main_cluster = false' >"$cluster_guard"

export DEBIAN_FRONTEND=noninteractive
apt-get update -q || echo 'pgherd: the package lists could not be refreshed; trying with the old ones' >&2
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" || exit $?

# Debian enables services at install: they would start at the next boot and take the ports.
if command -v systemctl >/dev/null; then
  for package in "$@"; do
    dpkg -L "$package" | sed -n 's|^.*/systemd/system/\([^/@]*\.service\)$|\1|p' | while read -r unit; do
      systemctl is-active "$unit" >/dev/null 2>&1 || systemctl --quiet disable "$unit" 2>/dev/null || true
    done
  done
fi
