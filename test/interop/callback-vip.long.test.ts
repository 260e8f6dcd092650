// The seed article's own callback script, unchanged, moves the read-write address: on pg1 with Patroni 1.6's role names, on pg2
// with today's. Its `sudo` is a program of the test that runs its arguments: the right to change addresses comes from
// capabilities of the agent's process, as a systemd unit gives them.

import assert from 'node:assert/strict'
import { chown, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { withOwnRoot } from '../support/own-root.ts'
import { makeWorkplace } from '../support/workplace.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed')
const VIP = '192.168.234.210'
const SCRIPT = '/bin/bash /pgsql/loadvip.sh'
/** The script knows neither `primary` nor `on_stop`: the command line says it in its words. */
const TRANSLATED = `sh -c 'exec ${SCRIPT} "$1" "$(echo "$2" | sed s/primary/master/)" "$3"' loadvip`
const UNLOAD = `sh -c 'exec ${SCRIPT} on_role_change replica "$3"' loadvip`

const work = await makeWorkplace({ after })
const network = await Network.create(work, {
  subnet: '192.168.234',
  addresses: { gateway: 2, pg1: 201, pg2: 202, etcd1: 204 },
  interfaceName: 'ens33',
})
// Somebody must be there for the script's arping.
await network.host('gateway')
const etcd = await EtcdCluster.create(network, 1)
await etcd.start()

interface Member {
  readonly host: Host
  readonly agent: Server
}

const pg1 = await member('pg1', callbacks(SCRIPT), 'pgherd: { callback_role: master }\n')
const pg2 = await member('pg2', callbacks(TRANSLATED), '')

function callbacks(line: string): string {
  const quoted = JSON.stringify(line)
  const own = ['on_start', 'on_restart', 'on_role_change'].map(action => `    ${action}: ${quoted}\n`)
  return `  callbacks:\n${own.join('')}    on_stop: ${JSON.stringify(UNLOAD)}\n`
}

async function member(name: 'pg1' | 'pg2', section: string, more: string): Promise<Member> {
  const host = await withOwnRoot(await network.host(name), work, 'zh_CN.UTF-8')
  const { uid, gid } = host.account
  const file = host.path('patroni.yml')
  const text = await readFile(path.join(SEED, 'patroni.yml'), 'utf8')
  const changed = text
    .replace('name: pg1', `name: ${name}`)
    .replace('connect_address: 192.168.234.201:8008', `connect_address: ${host.address}:8008`)
    .replace('connect_address: 192.168.234.201:5432', `connect_address: ${host.address}:5432`)
    .replace('ttl: 30', 'ttl: 10\n    pgherd: { short_ttl: true }')
    .replace('loop_wait: 10', 'loop_wait: 1')
    .replace('retry_timeout: 10', 'retry_timeout: 3')
    .replace('tags:\n', `${section}tags:\n`)
  assert.ok(changed.includes(section) && changed.includes('ttl: 10'))
  await writeFile(file, changed + more)
  await copyFile(path.join(SEED, 'loadvip.sh'), host.path('pgsql', 'loadvip.sh'))
  await mkdir(host.path('bin'))
  await writeFile(host.path('bin', 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  await chown(file, uid, gid)
  const rights = ['--inh-caps=+net_admin,+net_raw', '--ambient-caps=+net_admin,+net_raw']
  const as = process.getuid?.() === 0 ? [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : []
  const command = ['setpriv', ...as, ...rights, '--', ...work.program, 'agent', file]
  const env = { PATH: `${host.path('bin')}:${process.env['PATH']}:/usr/sbin:/sbin` }
  return { host, agent: host.server({ name: 'agent', command, env, privileged: true }) }
}

async function hasAddress({ host }: Member): Promise<boolean> {
  return (await network.inside(host, ['ip', '-o', 'address', 'show', 'dev', 'ens33'])).includes(VIP)
}

/** The address is on this member and on no other. */
async function untilOn(wanted: Member): Promise<number> {
  const startedMs = performance.now()
  await waitFor(`the address on ${wanted.host.name} alone`, { withinMs: 60_000 }, async note => {
    const [first, second] = [await hasAddress(pg1), await hasAddress(pg2)]
    note(`pg1 ${first}, pg2 ${second}`)
    return first === (wanted === pg1) && second === (wanted === pg2)
  })
  return performance.now() - startedMs
}

async function answers({ host }: Member, target: string): Promise<void> {
  await waitFor(
    `${host.name} to answer 200 on ${target}`,
    { withinMs: 120_000, everyMs: 200 },
    async note => {
      const response = await fetch(`http://${host.address}:8008${target}`, {
        signal: AbortSignal.timeout(5_000),
      })
      note(`${response.status} ${await response.text()}`)
      return response.ok
    },
  )
}

/** It has crossed over: whoever was lost before that might have had more (`check_timeline` is set). */
async function streams({ host }: Member, timeline: number): Promise<void> {
  await waitFor(
    `${host.name} to stream on timeline ${timeline}`,
    { withinMs: 120_000, everyMs: 200 },
    async note => {
      const response = await fetch(`http://${host.address}:8008/patroni`, {
        signal: AbortSignal.timeout(5_000),
      })
      const text = await response.text()
      note(text)
      const status = JSON.parse(text) as Readonly<Record<string, unknown>>
      return status['replication_state'] === 'streaming' && status['timeline'] === timeline
    },
  )
}

test('start: the first leader has the address', async () => {
  await pg1.agent.start()
  await answers(pg1, '/primary')
  await pg2.agent.start()
  await answers(pg2, '/replica')
  await untilOn(pg1)
})

test('switchover: the address moves to the new leader', async t => {
  const body = JSON.stringify({ leader: 'pg1', candidate: 'pg2' })
  const url = `http://${pg1.host.address}:8008/switchover`
  const answer = await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(60_000) })
  assert.equal(answer.status, 200, await answer.text())
  t.diagnostic(
    `on the new leader alone ${Math.round(await untilOn(pg2))} ms after the switchover was answered`,
  )
  await answers(pg1, '/replica')
  await streams(pg1, 2)
})

test('crash: the address comes up on the one who takes over; the lost machine has none when it is back', async () => {
  await pg2.host.kill()
  // A machine that is down has no addresses.
  await network.inside(pg2.host, ['ip', 'address', 'del', `${VIP}/32`, 'dev', 'ens33'])
  await untilOn(pg1)
  await pg2.agent.start()
  await answers(pg2, '/replica')
  await streams(pg2, 3)
  await untilOn(pg1)
})

test('clean stop: the leader gives the address up and the other takes it', async () => {
  await pg1.agent.stop()
  await untilOn(pg2)
  await answers(pg2, '/primary')
})
