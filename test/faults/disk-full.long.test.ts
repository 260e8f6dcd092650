// Disks that are full or cannot be read, below the data directories of a real cluster; the agent's own files lie there, too.

import assert from 'node:assert/strict'
import { chmod, readFile, stat } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { SmallDisk } from '../support/disk.ts'
import { ownWords, startOnDisks, untilTold } from '../support/disk-cluster.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { assertSafe, tellOutage, Witness } from './witness.ts'

const DISK_MEGABYTES = 240
const { cluster, disk } = await startOnDisks(
  { after },
  async host => {
    const unmounts: (() => unknown)[] = []
    const small = await SmallDisk.mount({ defer: run => void unmounts.push(run) }, host, DISK_MEGABYTES)
    return {
      path: small.path,
      fill: () => small.fill(),
      free: () => small.free(),
      remove: async () => {
        for (const run of unmounts) await run()
      },
    }
  },
  {
    parameters: {
      synchronous_standby_names: 'ANY 1 (*)',
      wal_keep_size: '16MB',
      max_wal_size: '64MB',
    },
    dcs: { pgherd: { short_ttl: true, hung_after: 5 } },
  },
)
const FULL = /refuses writes: No space left on device/

function isEvent(line: string, kind: string): boolean {
  try {
    return (JSON.parse(line) as { readonly kind?: string }).kind === kind
  } catch {
    return false
  }
}

async function setting(member: Member, name: string): Promise<string | undefined> {
  const [row] = await member.query<{ value: string }>('SELECT current_setting($1) AS value', [name])
  return row?.value
}

test('a standby’s disk is full: it says so, a change of the configuration waits there, and all goes on when there is room', async () => {
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  await disk(standby).fill()
  await untilTold(standby, 'storage-trouble', FULL)
  assert.equal((await ownWords(standby))['storage_refuses'], 'No space left on device')
  assert.match((await standby.rest('/metrics')).body, /^pgherd_agent_storage_refuses_writes 1$/m)
  await changeConfig(cluster, { postgresql: { parameters: { work_mem: '5MB' } } })
  await waitFor(
    'the leader to have it',
    { withinMs: 20_000 },
    async () => (await setting(leader, 'work_mem')) === '5MB',
  )
  assert.equal(await cluster.leaderKey(), leader.name)
  const { age_ms: ageMs } = await ownWords(standby)
  assert.ok(typeof ageMs === 'number' && ageMs < 15_000, 'its agent goes on looking')
  await disk(standby).free()
  await untilTold(standby, 'storage-works', /takes writes again/)
  // The file lies on the same disk: what did not fit is gone, what comes later is whole.
  await waitFor('the event in the file', { withinMs: 10_000 }, async () => {
    const text = await readFile(`${standby.dataDir}.events.jsonl`, 'utf8')
    return text.split('\n').some(line => isEvent(line, 'storage-works'))
  })
  await waitFor(
    'the standby to have it',
    { withinMs: 40_000 },
    async () => (await setting(standby, 'work_mem')) === '5MB',
  )
  await cluster.complete()
})

test('in a synchronous mode a leader whose disk is full hands over after a grace, nothing acknowledged is lost, and it comes back', async t => {
  await changeConfig(cluster, { synchronous_mode: true })
  const witness = await Witness.start(cluster)
  t.after(() => witness.finish(0).catch(() => {}))
  const old = await cluster.leader()
  const [heir] = await cluster.replicas()
  await waitFor('a synchronous standby', { withinMs: 30_000 }, async () =>
    (await keyText(cluster, 'sync')).includes(`"${heir?.name}"`),
  )
  const beganMs = performance.now()
  await disk(old).fill()
  await cluster.leader({ not: [old], withinMs: 60_000 })
  t.diagnostic(`another one leads ${Math.round(performance.now() - beganMs)} ms after the disk was full`)
  await untilTold(
    old,
    'hand-over-storage',
    /handing the lead over: the storage of the server refuses writes: No space left/,
  )
  await disk(old).free()
  await cluster.complete()
  await witness.writesAgain(performance.now())
  const report = await witness.finish(beganMs)
  tellOutage(t, report, 30_000)
  assertSafe(report)
})

test('a leader’s disk is full until its server ends: another one leads, nothing acknowledged is lost, and it comes back', async t => {
  await changeConfig(cluster, { synchronous_mode: false })
  const witness = await Witness.start(cluster)
  // A load that is left behind would keep the process of the test alive.
  t.after(() => witness.finish(0).catch(() => {}))
  const old = await cluster.leader()
  const beganMs = performance.now()
  await disk(old).fill()
  await untilTold(old, 'storage-trouble', FULL)
  const toldMs = performance.now() - beganMs
  // WAL needs a new file sooner or later: soon. A server that cannot have one ends itself.
  let isOver = false
  const next = cluster.leader({ not: [old], withinMs: 120_000 }).finally(() => {
    isOver = true
  })
  while (!isOver) {
    await old.query('SELECT pg_switch_wal()').catch(() => {})
    await sleep(300)
  }
  await next
  t.diagnostic(
    `told after ${Math.round(toldMs)} ms; another one leads ${Math.round(performance.now() - beganMs)} ms after the disk was full`,
  )
  const { age_ms: ageMs } = await ownWords(old)
  assert.ok(typeof ageMs === 'number', 'the agent of the full disk goes on')
  await disk(old).free()
  await cluster.complete()
  await witness.writesAgain(performance.now())
  const report = await witness.finish(beganMs)
  tellOutage(t, report, 30_000)
  assertSafe(report)
})

test('a leader’s data directory cannot be read any more: it says so, and another one leads when its server ends', async t => {
  const old = await cluster.leader()
  const { mode } = await stat(old.dataDir)
  const beganMs = performance.now()
  await chmod(old.dataDir, 0)
  await untilTold(old, 'storage-trouble', /refuses writes: Permission denied/)
  t.diagnostic(`told after ${Math.round(performance.now() - beganMs)} ms`)
  assert.equal(await cluster.leaderKey(), old.name, 'what is open goes on being written')
  await old.killServer()
  await cluster.leader({ not: [old] })
  t.diagnostic(`another one leads ${Math.round(performance.now() - beganMs)} ms after it`)
  await waitFor('the reason', { withinMs: 30_000 }, async note => {
    const { body } = await old.rest('/patroni')
    note(body)
    return /the data directory .* cannot be read by this user: give it to the user who runs PostgreSQL/.test(
      body,
    )
  })
  await chmod(old.dataDir, mode & 0o7777)
  await cluster.complete()
})
