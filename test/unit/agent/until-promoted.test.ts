// A promotion that takes long: how long it is waited for, and when somebody else may lead instead.

import assert from 'node:assert/strict'
import test from 'node:test'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { untilPromoted } from '../../../src/agent/until-promoted.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { parsePeerAnswer } from '../../../src/health/peer.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { ServerStatus } from '../../../src/postgres/port.ts'
import { threeMembers, viewOf } from '../../support/agent-status.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside, withoutScripts } from './aside.ts'
import { down, running } from './scene.ts'

const replaying = (replayedLsn: bigint) => running({ replayedLsn, receivedLsn: 0x3000000n })
const silent = down({ process: 'running', isAnswering: false })
const heir = parsePeerAnswer('pg2', { role: 'replica', xlog: { received_location: 0x3000000n } })

/** A server that does not leave recovery within the first minute; `look` is what it shows after so many seconds. */
function scene(look: (seconds: number) => ServerStatus, peers: readonly (typeof heir)[] = []) {
  const clock = new FakeClock()
  const said: string[] = []
  const beganAtMs = clock.monotonicMs()
  const seconds = () => (clock.monotonicMs() - beganAtMs) / 1000
  const abort = new AbortController()
  const context = {
    parts: {
      clock,
      log: silentLogger,
      ...withoutScripts,
      local: { name: 'pg1' },
      events: { record: ({ kind }: { readonly kind: string }) => said.push(kind) },
      askPeers: async () => {
        said.push('asked')
        return peers
      },
      postgres: {
        promote: () => clock.sleep(60_000).then(() => false),
        status: async () => look(seconds()),
        stop: async ({ mode }: { readonly mode: string }) => {
          said.push(`stop ${mode}`)
          return { stopped: true, shutdownCheckpointLsn: undefined }
        },
      },
    },
    state: {
      server: replaying(1n),
      memory: firstMemory,
      lastView: viewOf(threeMembers),
      config: dynamicConfig({}, true),
    },
    keeper: { release: async () => void said.push('release'), hold: { name: 'pg1' }, leftMs: () => 5_000 },
    ...aside(),
    fence: { disarm: () => {} },
  } as unknown as WorkContext
  let ended: string | undefined
  const running = untilPromoted(context, abort.signal).then(
    ({ isDone, update }) => {
      ended = `${isDone ? 'promoted' : update === undefined ? 'gone' : 'handed over'} after ${Math.round(seconds())} s`
    },
    (error: unknown) => {
      ended = String(error)
    },
  )
  const after = async (passSeconds: number) => {
    for (let left = passSeconds * 2; left > 0 && ended === undefined; left -= 1) await clock.advance(500)
    if (ended !== undefined) await running
    return ended
  }
  return { after, said, abort, clock }
}

const primary = running({ role: 'primary' })

test('a promotion is waited for as long as the server replays, however long that takes', async () => {
  const { after, said } = scene(at => (at < 1_800 ? replaying(BigInt(Math.floor(at))) : primary), [heir])
  assert.equal(await after(2_000), 'promoted after 1800 s')
  assert.deepEqual(said, [])
})

test('a promotion whose server is gone is not waited for', async () => {
  const { after } = scene(at => (at < 90 ? replaying(BigInt(Math.floor(at))) : down()))
  assert.equal(await after(200), 'gone after 90 s')
})

test('a promotion whose server has told nothing for a minute is given up', async () => {
  const { after } = scene(at => (at < 90 ? replaying(1n) : silent))
  assert.match((await after(400)) ?? '', /^gone after 15[01] s$/)
})

test('replay that stands still for primary_start_timeout: the lead goes to somebody who has what we have', async () => {
  const { after, said } = scene(() => replaying(7n), [heir])
  assert.match((await after(1_000)) ?? '', /^handed over after 36[01] s$/)
  assert.deepEqual(said, ['asked', 'promotion-too-slow', 'stop immediate', 'release'])
})

test('replay that stands still, and nobody else can lead: it is waited for', async () => {
  const { after, said } = scene(at => (at < 900 ? replaying(7n) : primary))
  assert.equal(await after(1_000), 'promoted after 900 s')
  assert.ok(said.length > 10 && said.every(what => what === 'asked'), said.join())
})

test('who ends the agent does not wait for the promotion', async () => {
  const { after, abort, clock } = scene(() => replaying(7n))
  await after(70)
  abort.abort(new Error('the agent stops'))
  await clock.advance(0)
  assert.match((await after(1)) ?? '', /the agent stops/)
})
