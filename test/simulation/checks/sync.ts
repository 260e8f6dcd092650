// The invariant of the `sync` key, seen from outside: whoever the key lets lead has every acknowledged commit.
//
// Without a quorum each standby in the key may lead, so each must have all of them. With a quorum a voter leads when it has
// seen `quorum` other voters that are not ahead: so at most `quorum` of the voters may lack any one commit. Names are the
// members'; the leader in the key has its own commits anyway.

import { parseSync, type SyncState } from '../../../src/cluster/sync.ts'
import type { WalRecord } from '../postgres/data-directory.ts'
import type { SimServer } from '../postgres/server.ts'
import { Violation } from './violation.ts'

/** Which of the members named in the key lack a record. */
function lacking(
  sync: SyncState,
  record: WalRecord,
  server: (name: string) => SimServer | undefined,
): readonly string[] {
  return sync.standbys.filter(name => server(name)?.data?.has(record) !== true)
}

/** May so many of them lack a commit? Throws a Violation when not. */
export function checkSyncPromise(
  value: string | undefined,
  records: readonly WalRecord[],
  server: (name: string) => SimServer | undefined,
  when: string,
): void {
  const sync = value === undefined ? undefined : parseSync(value)
  if (sync === undefined) return
  for (const record of records) {
    const names = lacking(sync, record, server)
    if (names.length <= sync.quorum) continue
    throw new Violation(
      'sync-key-promises-too-much',
      `${when}: ${names.join(', ')} may lead by ${value} without row ${record.write?.id ?? '?'}`,
    )
  }
}
