// A leader and its standbys as far as confirmation goes: who has what, what has been acknowledged, who could be elected.
// It is told single steps and checks after each event that nobody can be elected who lacks an acknowledged commit.

import assert from 'node:assert/strict'
import { isClosed, parseStandbyNames } from '../../../../src/agent/sync/names.ts'
import { nextPriorityStep } from '../../../../src/agent/sync/priority.ts'
import { nextQuorumStep } from '../../../../src/agent/sync/quorum.ts'
import type { SyncScene, SyncStep } from '../../../../src/agent/sync/step.ts'
import type { SyncState } from '../../../../src/cluster/sync.ts'

export const STANDBYS = ['a', 'b', 'c', 'd'] as const

interface Standby {
  position: number
  isStreaming: boolean
}

export class Model {
  mode: 'on' | 'quorum' = 'on'
  isStrict = false
  count = 1
  written = 0
  /** The furthest commit that a client was told of. */
  acknowledged = 0
  recorded: SyncState | undefined
  names = ''
  /** Parameters that some session or walsender may still go by. */
  #inEffect: string[] = ['']
  #settledAt: number | undefined
  readonly #standbys = new Map<string, Standby>(
    STANDBYS.map(name => [name, { position: 0, isStreaming: false }]),
  )
  readonly steps: string[] = []

  standby(name: string): Standby {
    const found = this.#standbys.get(name)
    assert.ok(found)
    return found
  }

  write(): void {
    this.written += 1
  }

  receive(name: string): void {
    const standby = this.standby(name)
    if (standby.isStreaming) standby.position = this.written
  }

  /** Clients are told of everything that any parameter still in effect lets pass. */
  acknowledge(): void {
    for (const names of this.#inEffect) this.acknowledged = Math.max(this.acknowledged, this.#passes(names))
  }

  /** All processes have read the parameter. */
  settle(): void {
    this.acknowledge()
    this.#inEffect = [this.names]
    this.#settledAt ??= this.written
  }

  /** A new process of the agent knows only what it can read. */
  restartAgent(): void {
    this.#settledAt = undefined
  }

  /** The server leaves recovery with this parameter in effect from its first commit on. */
  begin(names: string): void {
    this.names = names
    this.#inEffect = [names]
  }

  step(): SyncStep | undefined {
    const scene = this.#scene()
    const step = this.mode === 'quorum' ? nextQuorumStep(scene) : nextPriorityStep(scene)
    if (step !== undefined) this.apply(step)
    return step
  }

  apply(step: SyncStep): void {
    if (step.kind === 'write-sync') {
      this.recorded = step.sync
      this.steps.push(`sync: ${step.sync.standbys.join(' ') || 'nobody'} / ${step.sync.quorum}`)
    } else if (step.kind === 'set-synchronous-names') {
      this.names = step.names ?? ''
      this.steps.push(`names: ${this.names || 'nobody'}`)
      this.#inEffect.push(this.names)
      this.#settledAt = undefined
    }
  }

  /** Throws when somebody could be elected who lacks an acknowledged commit. */
  check(): void {
    if (this.recorded === undefined) return
    const { standbys, quorum } = this.recorded
    for (const candidate of standbys) {
      const { position } = this.standby(candidate)
      const votes = standbys.filter(
        voter => voter !== candidate && this.standby(voter).position <= position,
      ).length
      assert.ok(
        votes < quorum || position >= this.acknowledged,
        `${candidate} at ${position} could be elected, but ${this.acknowledged} was acknowledged; ` +
          `sync: ${standbys.join(' ')} / ${quorum}, names: ${this.#inEffect.join(' | ')}; ${this.steps.join('; ')}`,
      )
    }
  }

  #passes(text: string): number {
    const parsed = parseStandbyNames(text)
    assert.ok(parsed)
    if (parsed.count === 0) return this.written
    if (isClosed(parsed)) return 0
    const connected = parsed.names
      .filter(name => this.#standbys.get(name)?.isStreaming === true)
      .map(name => this.standby(name).position)
    if (connected.length < parsed.count) return 0
    const ordered = parsed.method === 'first' ? connected.slice(0, parsed.count) : connected
    return ordered.sort((x, y) => y - x)[parsed.count - 1] ?? 0
  }

  #scene(): SyncScene {
    const inParameter = parseStandbyNames(this.names)?.names ?? []
    const streaming = STANDBYS.filter(name => this.standby(name).isStreaming)
    const able = [
      ...streaming.filter(name => inParameter.includes(name)),
      ...streaming.filter(name => !inParameter.includes(name)),
    ]
    const settledAt = this.#settledAt
    return {
      me: 'leader',
      recorded: this.recorded,
      names: this.names,
      picked: able.slice(0, this.count),
      able,
      confirmed: able.filter(
        name =>
          settledAt !== undefined && inParameter.includes(name) && this.standby(name).position >= settledAt,
      ),
      isSettled: settledAt !== undefined,
      isStrict: this.isStrict,
      wantedCount: this.count,
    }
  }
}
