// The lock files that a killed postmaster leaves beside its sockets. PostgreSQL removes them itself, unless a process with
// that pid still exists: a zombie that its parent has not collected yet (usual in containers), or a stranger by now.

import { runChild } from '../platform/child.ts'
import type { Deadline } from '../platform/deadline.ts'
import { toolEnvironment } from './environment.ts'

/** The second line of a lock file names the data directory; only a lock of our own server is touched. */
const REMOVE = `
data=$(readlink -f "$1") || exit 0
port=$2; shift 2
for directory in "$@"; do
  socket="$directory/.s.PGSQL.$port"
  [ -f "$socket.lock" ] && [ "$(readlink -f "$(sed -n 2p "$socket.lock")")" = "$data" ] || continue
  rm -f -- "$socket" "$socket.lock"
done`

/**
 * Removes the lock files in `directories` that name `dataDir`. Call only when no process of that directory is left. A file
 * that cannot be removed stays: PostgreSQL will say so.
 */
export async function removeSocketLocks(
  dataDir: string,
  port: number,
  directories: readonly string[],
  by: Deadline,
): Promise<void> {
  const args = ['-c', REMOVE, 'sh', dataDir, String(port), ...directories]
  await runChild('/bin/sh', args, { by, env: toolEnvironment(), cwd: '/' })
}
