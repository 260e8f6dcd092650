// A watchdog beside every member, on devices whose ioctls answer as the kernel's do. When one fires, everything on its host is
// killed: that is what a reset does.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { createCluster } from '../support/fixture.ts'
import { StandIn } from '../support/watchdog-stand-in.ts'
import { Witness } from './witness.ts'

const TIMES = { ttl: 10, loop_wait: 1, retry_timeout: 3 }
/** It fires 7 s after it was last fed; a lease lasts 10 s. */
const SAFETY_MARGIN_SECONDS = 3

const { cluster, work } = await createCluster(
  { after },
  { etcd: 1, members: 3, proxies: 1, dcs: { ...TIMES, synchronous_mode: false } },
)
const dogs = new Map<string, StandIn>()
/** What the leader key said when each of them fired. */
const keysAtReset: (string | undefined)[] = []
for (const member of cluster.members) {
  const dog = await StandIn.mount(`${work.data}/dog-${member.name}`)
  work.defer(() => dog.end())
  dogs.set(member.name, dog)
  dog.onSaid = ({ what }) => {
    if (what !== 'fired') return
    void cluster.leaderKey().then(name => keysAtReset.push(name))
    void member.host.kill()
  }
  await watch(member, dog.device)
}
await cluster.start()

async function watch(member: Member, device: string): Promise<void> {
  await member.configure({ watchdog: { mode: 'required', device, safety_margin: SAFETY_MARGIN_SECONDS } })
}

const dogOf = (member: Member): StandIn => {
  const dog = dogs.get(member.name)
  if (dog === undefined) throw new Error(`no watchdog for ${member.name}`)
  return dog
}

async function whole(): Promise<void> {
  for (const member of cluster.members) if (!member.agent.isRunning) await member.agent.start()
  await cluster.complete(120_000)
}

test('the leader alone has armed its watchdog, with ttl less the margin, and feeds it', async () => {
  const leader = await cluster.leader()
  const dog = dogOf(leader)
  assert.equal(dog.said.find(({ what }) => what === 'timeout')?.seconds, TIMES.ttl - SAFETY_MARGIN_SECONDS)
  await waitFor('some feeding', { withinMs: 30_000 }, () => dog.count('fed') > 3)
  for (const other of await cluster.replicas()) assert.equal(dogOf(other).count('opened'), 0)
  assert.equal((await leader.status())['watchdog_failed'], undefined)
})

test('a switchover disarms the one and arms the other', async () => {
  const old = await cluster.leader()
  dogOf(old).forget()
  const answer = await old.rest('/switchover', {
    method: 'POST',
    body: JSON.stringify({ leader: old.name }),
    signal: AbortSignal.timeout(60_000),
  })
  assert.equal(answer.code, 200, answer.body)
  await dogOf(old).says('disarmed')
  const next = await cluster.leader({ not: [old] })
  await dogOf(next).says('fed')
  await cluster.complete()
  assert.equal(dogOf(old).count('fired'), 0)
})

test('a pause disarms it, the end of the pause arms it again', async () => {
  const leader = await cluster.leader()
  const dog = dogOf(leader)
  dog.forget()
  await changeConfig(cluster, { pause: true })
  await dog.says('disarmed')
  dog.forget()
  await changeConfig(cluster, { pause: false })
  await dog.says('opened')
  await dog.says('fed')
})

for (const [what, hurt] of [
  ['everything on the leader’s host frozen', (leader: Member) => leader.host.freeze()],
  ['the leader’s agent killed', (leader: Member) => leader.agent.kill()],
] as const) {
  test(`${what}: the machine is reset before its lease has ended, and only then does another lead`, async t => {
    const old = await cluster.leader()
    const dog = dogOf(old)
    const witness = await Witness.start(cluster)
    dog.forget()
    keysAtReset.length = 0
    const hurtMs = performance.now()
    await hurt(old)
    const fired = await dog.says('fired', 60_000)
    const firedMs = performance.now()
    const fedMs = dog.said.findLast(({ what: said }) => said === 'fed')?.ms
    await cluster.leader({ not: [old], withinMs: 60_000 })
    await witness.writesAgain(performance.now())
    const report = await witness.finish(hurtMs)
    t.diagnostic(
      `reset ${Math.round(firedMs - hurtMs)} ms after the fault, ${fired.ms - (fedMs ?? 0)} ms after it was last fed`,
    )
    assert.deepEqual(keysAtReset, [old.name], 'the lease had not ended')
    assert.deepEqual(
      report.staleDirect,
      [],
      'nobody acknowledged anything on the old timeline after the new one',
    )
    await whole()
  })
}

test('an agent that is stopped in order disarms it', async () => {
  const old = await cluster.leader()
  const dog = dogOf(old)
  dog.forget()
  await old.agent.stop()
  await dog.says('disarmed')
  await cluster.leader({ not: [old] })
  assert.equal(dog.count('fired'), 0)
  await whole()
})

test('a required device that is not there: the member says so and is never made leader', async () => {
  const leader = await cluster.leader()
  const [unfit, ...others] = await cluster.replicas()
  assert.ok(unfit)
  await unfit.agent.stop()
  await watch(unfit, '/nowhere/watchdog')
  await unfit.agent.start()
  await cluster.complete()
  await waitFor(
    'watchdog_failed',
    { withinMs: 30_000 },
    async () => (await unfit.status())['watchdog_failed'] === true,
  )
  const ordered = await leader.rest('/switchover', {
    method: 'POST',
    body: JSON.stringify({ leader: leader.name, candidate: unfit.name }),
    signal: AbortSignal.timeout(60_000),
  })
  assert.equal(ordered.code, 412, ordered.body)
  for (const other of others) await other.agent.stop()
  await leader.host.kill()
  await waitFor(
    'the key to be gone',
    { withinMs: 60_000 },
    async () => (await cluster.leaderKey()) === undefined,
  )
  await new Promise(resolve => setTimeout(resolve, 5_000))
  assert.equal(await keyText(cluster, 'leader'), '', 'nobody takes the key')
  assert.equal((await unfit.status()).role, 'replica')
  await watch(unfit, dogOf(unfit).device)
  await unfit.rest('/reload', { method: 'POST' })
  assert.equal((await cluster.leader({ withinMs: 60_000 })).name, unfit.name, 'with a device it does')
  await whole()
})

test('a device that hangs: its leader gives the lead away in order', async () => {
  const old = await cluster.leader()
  const dog = dogOf(old)
  await dog.order('hang')
  await cluster.leader({ not: [old], withinMs: 60_000 })
  await dog.order('answer')
  await whole()
})
