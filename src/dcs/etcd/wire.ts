// Between our types and the messages of etcd's API. Whole numbers travel as decimal text: they pass 2^53.

import type { IKeyValue, IResponseHeader, ITxnRequest, IWatchResponse } from 'etcd3'
import type { KeyValue, Position } from '../../cluster/view.ts'
import type { Condition, WatchEvent, Write } from '../dcs.ts'
import { prefixEnd } from '../prefix.ts'

type Compare = NonNullable<ITxnRequest['compare']>[number]
type RequestOp = NonNullable<ITxnRequest['success']>[number]

/** Translates keys relative to one scope's prefix. */
export class Wire {
  readonly prefix: string
  readonly range: { readonly key: Buffer; readonly range_end: Buffer }

  constructor(prefix: string) {
    this.prefix = prefix
    this.range = { key: Buffer.from(prefix), range_end: prefixEnd(prefix) }
  }

  key(relative: string): Buffer {
    return Buffer.from(this.prefix + relative)
  }

  txn(conditions: readonly Condition[], writes: readonly Write[]): ITxnRequest {
    return {
      compare: conditions.map(condition => this.#compare(condition)),
      success: writes.map(write => this.#op(write)),
    }
  }

  keyValue(kv: IKeyValue): KeyValue {
    return {
      key: kv.key.toString('utf8').slice(this.prefix.length),
      value: kv.value.toString('utf8'),
      createRevision: BigInt(kv.create_revision),
      modRevision: BigInt(kv.mod_revision),
      leaseId: BigInt(kv.lease),
    }
  }

  events(response: IWatchResponse): readonly WatchEvent[] {
    return response.events.map(({ type, kv }) => {
      const keyValue = this.keyValue(kv)
      if (type === 'Put') return { kind: 'put', kv: keyValue }
      return { kind: 'delete', key: keyValue.key, revision: keyValue.modRevision }
    })
  }

  #compare(condition: Condition): Compare {
    const key = this.key(condition.key)
    if (condition.kind === 'mod-revision') {
      return { key, result: 'Equal', target: 'Mod', mod_revision: condition.revision.toString() }
    }
    const created = condition.kind === 'absent' ? '0' : condition.revision.toString()
    return { key, result: 'Equal', target: 'Create', create_revision: created }
  }

  #op(write: Write): RequestOp {
    if (write.kind === 'put') {
      const value = Buffer.from(write.value)
      const lease = write.leaseId === undefined ? {} : { lease: write.leaseId.toString() }
      return { request_put: { key: this.key(write.key), value, ...lease } }
    }
    if (write.kind === 'delete') return { request_delete_range: { key: this.key(write.key) } }
    const prefix = this.prefix + write.prefix
    return { request_delete_range: { key: Buffer.from(prefix), range_end: prefixEnd(prefix) } }
  }
}

/** Where an answer stood. */
export function positionOf(header: IResponseHeader): Position {
  return {
    clusterId: header.cluster_id,
    revision: BigInt(header.revision),
    raftTerm: BigInt(header.raft_term),
  }
}

/** The revision at which an event happened. */
export function revisionOf(event: WatchEvent): bigint {
  return event.kind === 'put' ? event.kv.modRevision : event.revision
}
