// Runs rows of "in this situation this rule speaks and does this".

import assert from 'node:assert/strict'
import { decide } from '../../../src/agent/decide.ts'
import type { Action } from '../../../src/agent/decision.ts'
import type { Memory, Snapshot } from '../../../src/agent/snapshot.ts'
import { settled, snapshot } from './scene.ts'

export interface Row {
  readonly situation: string
  readonly seen: Partial<Snapshot>
  readonly remembers?: Partial<Memory>
  readonly rule: string
  readonly actions: readonly string[]
  readonly says?: RegExp
  readonly warns?: RegExp
  /** Whether the sentence is a warning. */
  readonly needsOperator?: boolean
  readonly againInMs?: number
}

/** What the rules decide in the row's situation is what the row says. */
export function follows(row: Row): void {
  const decision = decide(snapshot(row.seen), { ...settled, ...row.remembers })
  assert.equal(decision.rule, row.rule, decision.says)
  assert.deepEqual(decision.actions.map(describe), row.actions)
  if (row.says !== undefined) assert.match(decision.says, row.says)
  if (row.needsOperator !== undefined)
    assert.equal(decision.needsOperator ?? false, row.needsOperator, decision.says)
  if (row.againInMs !== undefined) assert.equal(decision.againInMs, row.againInMs)
  if (row.warns !== undefined) assert.match(decision.warns ?? '', row.warns)
}

export function describe(action: Action): string {
  switch (action.kind) {
    case 'start':
      return `start ${action.as} of ${action.upstream?.member ?? 'nobody'}`
    case 'demote': {
      const { mode, release, heirs } = action.demotion
      return `demote ${mode} ${release ? 'release' : 'keep'}${heirs === undefined ? '' : ` to ${heirs.join(' ')}`}`
    }
    case 'clone':
      return `clone ${action.from?.member ?? 'nobody'}`
    case 'follow':
      return `follow ${action.upstream.member}`
    case 'rewind':
    case 'check-divergence':
      return `${action.kind} ${action.leader.member}`
    case 'exit':
      return `exit ${action.code}`
    case 'begin-request':
      return `begin-request to ${action.request.candidate ?? 'anybody'}`
    case 'write-sync':
      return `write-sync ${action.sync.standbys.join(' ') || 'nobody'} / ${action.sync.quorum}`
    case 'set-synchronous-names':
      return `names ${action.names === undefined ? 'of the configuration' : action.names || 'nobody'}`
    case 'promote':
      return action.sync === undefined
        ? 'promote'
        : `promote, sync ${action.sync.sync.standbys.join(' ') || 'nobody'} / ${action.sync.sync.quorum}, names ${action.sync.names || 'nobody'}`
    default:
      return action.kind
  }
}
