// Between our types and etcd's: keys relative to one scope's prefix, conditions and writes, events.

import type { KeyValue, Position } from '../../cluster/view.ts'
import type { Condition, WatchEvent, Write } from '../dcs.ts'
import { prefixEnd } from '../prefix.ts'
import type { Compare, Header, Operation, StoredEvent, StoredKey, TxnRequest } from './rpc.ts'

/** Translates keys relative to one scope's prefix. */
export class Wire {
  readonly prefix: string
  readonly range: { readonly key: Buffer; readonly rangeEnd: Buffer }

  constructor(prefix: string) {
    this.prefix = prefix
    this.range = { key: Buffer.from(prefix), rangeEnd: prefixEnd(prefix) }
  }

  key(relative: string): Buffer {
    return Buffer.from(this.prefix + relative)
  }

  txn(conditions: readonly Condition[], writes: readonly Write[]): TxnRequest {
    return {
      compare: conditions.map(condition => this.#compare(condition)),
      success: writes.map(write => this.#operation(write)),
    }
  }

  keyValue({ key, value, createRevision, modRevision, leaseId }: StoredKey): KeyValue {
    const name = key.toString('utf8').slice(this.prefix.length)
    return { key: name, value: value.toString('utf8'), createRevision, modRevision, leaseId }
  }

  event({ kind, kv }: StoredEvent): WatchEvent {
    const keyValue = this.keyValue(kv)
    if (kind === 'put') return { kind, kv: keyValue }
    return { kind, key: keyValue.key, revision: keyValue.modRevision }
  }

  #compare(condition: Condition): Compare {
    const key = this.key(condition.key)
    if (condition.kind === 'mod-revision') return { key, target: 'mod', revision: condition.revision }
    const revision = condition.kind === 'absent' ? 0n : condition.revision
    return { key, target: 'create', revision }
  }

  #operation(write: Write): Operation {
    if (write.kind === 'put') {
      const { value, leaseId = 0n } = write
      return { kind: 'put', key: this.key(write.key), value: Buffer.from(value), leaseId }
    }
    if (write.kind === 'delete') return { kind: 'delete', key: this.key(write.key) }
    const prefix = this.prefix + write.prefix
    return { kind: 'delete', key: Buffer.from(prefix), rangeEnd: prefixEnd(prefix) }
  }
}

/** Where an answer stood, without who gave it. */
export function positionOf({ clusterId, revision, raftTerm }: Header): Position {
  return { clusterId, revision, raftTerm }
}

/** The revision at which an event happened. */
export function revisionOf(event: WatchEvent): bigint {
  return event.kind === 'put' ? event.kv.modRevision : event.revision
}
