// The keys of a scope as etcd has them, with revisions and leases, for tests about who wrote what when.

import type { Cluster } from '../../src/demo/cluster.ts'

/** A key as stored. */
export interface StoredKey {
  readonly value: string
  readonly createRevision: bigint
  readonly modRevision: bigint
  readonly leaseId: bigint
}

interface Row {
  readonly key: string
  readonly value?: string
  readonly create_revision: bigint
  readonly mod_revision: bigint
  readonly lease?: bigint
}

/** All keys of the cluster's scope, by their names within it (`leader`, `members/pg1`). */
export async function keysOf(cluster: Cluster): Promise<Readonly<Record<string, StoredKey>>> {
  const prefix = `/service/${cluster.scope}/`
  const text = await cluster.etcd.ctl(['get', '--prefix', prefix, '-w', 'json'])
  const { kvs = [] } = JSON.parse(text, wholeNumbers) as { readonly kvs?: readonly Row[] }
  return Object.fromEntries(kvs.map(row => [decode(row.key).slice(prefix.length), stored(row)]))
}

function stored(row: Row): StoredKey {
  return {
    value: decode(row.value ?? ''),
    createRevision: row.create_revision,
    modRevision: row.mod_revision,
    leaseId: row.lease ?? 0n,
  }
}

const decode = (base64: string) => Buffer.from(base64, 'base64').toString('utf8')

/** Lease ids pass 2^53: whole numbers become bigint by the text they were written with. */
function wholeNumbers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && /^-?\d+$/.test(context?.source ?? '')
    ? BigInt(context?.source ?? '0')
    : value
}
