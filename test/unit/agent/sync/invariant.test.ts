// Whatever comes and goes: after every single step nobody may be elected who lacks an acknowledged commit.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { parseStandbyNames } from '../../../../src/agent/sync/names.ts'
import { promotionSync } from '../../../../src/agent/sync/promotion.ts'
import { Model, STANDBYS } from './model.ts'

type Event = (model: Model) => void

const anyStandby = fc.constantFrom(...STANDBYS)
const events = (modes: readonly ('on' | 'quorum')[]): fc.Arbitrary<Event> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Event>(model => void model.step()) },
    { weight: 4, arbitrary: fc.constant<Event>(model => model.write()) },
    { weight: 4, arbitrary: fc.constant<Event>(model => model.acknowledge()) },
    { weight: 4, arbitrary: fc.constant<Event>(model => model.settle()) },
    {
      weight: 6,
      arbitrary: anyStandby.map(
        (name): Event =>
          model =>
            model.receive(name),
      ),
    },
    {
      weight: 3,
      arbitrary: anyStandby.map(
        (name): Event =>
          model => {
            const standby = model.standby(name)
            standby.isStreaming = !standby.isStreaming
          },
      ),
    },
    { weight: 1, arbitrary: fc.constant<Event>(model => model.restartAgent()) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(1, 2, 3).map(
        (count): Event =>
          model => {
            model.count = count
          },
      ),
    },
    {
      weight: 1,
      arbitrary: fc.boolean().map(
        (isStrict): Event =>
          model => {
            model.isStrict = isStrict
          },
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...modes).map(
        (mode): Event =>
          model => {
            model.mode = mode
          },
      ),
    },
  )

function run(
  mode: 'on' | 'quorum',
  history: readonly Event[],
  streaming: readonly string[] = ['a', 'b'],
): Model {
  const model = new Model()
  model.mode = mode
  for (const name of streaming) model.standby(name).isStreaming = true
  for (const event of history) {
    event(model)
    model.check()
  }
  return model
}

const RUNS = { numRuns: Number(process.env['SYNC_RUNS'] ?? 1_500) }
const long = (modes: readonly ('on' | 'quorum')[]) =>
  fc.array(events(modes), { minLength: 20, maxLength: 120 })

test('mode on: after every single step the sync key names only standbys that have every acknowledged commit', () => {
  fc.assert(
    fc.property(long(['on']), history => void run('on', history)),
    RUNS,
  )
})

test('mode quorum: after every single step whoever can be elected has every acknowledged commit', () => {
  fc.assert(
    fc.property(long(['quorum']), history => void run('quorum', history)),
    RUNS,
  )
})

test('switching between on and quorum at any moment keeps every acknowledged commit', () => {
  fc.assert(
    fc.property(long(['on', 'quorum']), history => void run('on', history)),
    RUNS,
  )
})

test('mode quorum: |voters and names together| <= quorum + count once the steps are done, and one contains the other', () => {
  fc.assert(
    fc.property(long(['quorum']), history => {
      const model = run('quorum', history)
      model.isStrict = false
      for (let round = 0; round < 12; round += 1) {
        for (const name of STANDBYS) model.receive(name)
        model.settle()
        model.step()
        model.check()
      }
      const names = parseStandbyNames(model.names)?.names ?? []
      const streaming = STANDBYS.filter(name => model.standby(name).isStreaming)
      assert.deepEqual([...names].sort(), streaming, 'the steps end where they should')
      assert.deepEqual(model.recorded?.standbys, streaming)
      const count = Math.min(model.count, streaming.length)
      assert.equal(model.recorded?.quorum, streaming.length - count)
      assert.equal(model.step(), undefined, 'and rest there')
    }),
    { numRuns: Number(process.env['SYNC_RUNS'] ?? 500) },
  )
})

test('a promotion in any reachable state: the new leader’s own commits and the old ones stay with whoever can be elected', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('on' as const, 'quorum' as const),
      long(['on', 'quorum']),
      long(['quorum']),
      fc.boolean(),
      (mode, before, after, isStrict) => {
        const old = run(mode, before, STANDBYS)
        const { recorded } = old
        if (recorded === undefined) return
        const elected = recorded.standbys.find(name => isElectable(old, name))
        if (elected === undefined) return
        const begins = promotionSync(
          { synchronousMode: old.mode, isSynchronousStrict: isStrict },
          recorded,
          elected,
        )
        assert.ok(begins)
        const next = new Model()
        next.mode = old.mode
        next.written = old.standby(elected).position
        next.acknowledged = old.acknowledged
        next.recorded = begins.sync
        for (const name of STANDBYS) {
          // Whoever had more than the new leader is rewound when it follows; until then it does not stream.
          next.standby(name).position = Math.min(old.standby(name).position, next.written)
        }
        next.begin(begins.names)
        next.check()
        for (const event of after) {
          event(next)
          // The new leader is none of its own standbys.
          next.standby(elected).isStreaming = false
          next.check()
        }
      },
    ),
    RUNS,
  )
})

function isElectable(model: Model, name: string): boolean {
  const { standbys, quorum } = model.recorded ?? { standbys: [], quorum: 0 }
  const { position } = model.standby(name)
  const votes = standbys.filter(voter => voter !== name && model.standby(voter).position <= position).length
  return votes >= quorum
}
