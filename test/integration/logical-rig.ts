// Consumers of a logical slot for the tests: PostgreSQL's own pg_recvlogical, and one that keeps its own position; and
// somebody who writes rows and knows which were acknowledged.

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../../src/demo/cluster.ts'
import { ROLES } from '../../src/demo/member-config.ts'
import type { Server } from '../../src/demo/server.ts'

const WRITE_EVERY_MS = 20
const READ_EVERY_MS = 50

/** Inserts ids one after the other at whoever leads. */
export class ItemWriter {
  /** When each acknowledged id was, by the monotonic clock. */
  readonly acknowledged = new Map<number, number>()
  readonly #done: Promise<void>
  #isOver = false

  constructor(cluster: Cluster) {
    this.#done = this.#run(cluster)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #run(cluster: Cluster): Promise<void> {
    for (let id = 1; !this.#isOver; id += 1) {
      try {
        const leader = await cluster.leader({ withinMs: 1_000 })
        await leader.query('INSERT INTO items VALUES ($1)', [id])
        this.acknowledged.set(id, performance.now())
      } catch {
        // Whether the row is there is not known: the next one has another id.
      }
      await sleep(WRITE_EVERY_MS)
    }
  }
}

/** Starts pg_recvlogical on a host that nobody kills; it looks for the primary by itself. */
export async function startReceiver(cluster: Cluster, slot: string): Promise<Receiver> {
  const [store] = cluster.etcd.members
  if (store === undefined) throw new Error('there is no host to run on')
  const { host } = store
  const file = host.path(`${slot}-${Date.now()}.out`)
  const { username, password } = ROLES.superuser
  const servers = cluster.members.map(({ direct }) => direct)
  const conninfo = [
    `host=${servers.map(server => server.host).join(',')}`,
    `port=${servers.map(server => server.port).join(',')}`,
    `user=${username} password=${password} dbname=postgres`,
    'target_session_attrs=read-write connect_timeout=2 tcp_user_timeout=3000',
  ].join(' ')
  const program = path.join(cluster.members[0]?.config.binDir ?? '', 'pg_recvlogical')
  const options = ['--start', '-S', slot, '-f', file, '-d', conninfo, '-s', '1', '-F', '1']
  const server = host.server({
    name: `recvlogical-${slot}`,
    command: [program, ...options, '-o', 'include-xids=0', '-o', 'skip-empty-xacts=1'],
  })
  await server.start()
  return { server, ids: async () => idsOf(await readFile(file, 'utf8').catch(() => '')) }
}

export interface Receiver {
  readonly server: Server
  /** The ids in the order in which they arrived, repeated ones too. */
  readonly ids: () => Promise<readonly number[]>
}

function idsOf(text: string): readonly number[] {
  return [...text.matchAll(/INSERT: id\[integer\]:(\d+)/g)].map(match => Number(match[1]))
}

/**
 * Reads by SQL, remembers the end of the last transaction that it has, and passes over what it is sent again. It takes
 * nothing that not every standby has, so that it is never ahead of a new primary.
 */
export class OwnPosition {
  readonly ids: number[] = []
  /** Rows that it was sent again. */
  passedOver = 0
  #last = 0n
  #isOver = false
  readonly #done: Promise<void>

  constructor(cluster: Cluster, slot: string) {
    this.#done = this.#run(cluster, slot)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #run(cluster: Cluster, slot: string): Promise<void> {
    while (!this.#isOver) {
      await this.#read(cluster, slot).catch(() => {})
      await sleep(READ_EVERY_MS)
    }
  }

  async #read(cluster: Cluster, slot: string): Promise<void> {
    const leader = await cluster.leader({ withinMs: 1_000 })
    const rows = await leader.query<{ lsn: string; data: string }>(
      `SELECT lsn::text, data FROM pg_logical_slot_peek_changes($1, (SELECT min(flush_lsn) FROM pg_stat_replication),
         500, 'include-xids', '0', 'skip-empty-xacts', '1')`,
      [slot],
    )
    let open: number[] = []
    for (const { lsn, data } of rows) {
      if (data === 'BEGIN') open = []
      else if (data !== 'COMMIT') open.push(...idsOf(data))
      else if (numberOf(lsn) > this.#last) {
        this.ids.push(...open)
        this.#last = numberOf(lsn)
      } else this.passedOver += open.length
    }
    const end = rows.at(-1)?.lsn
    if (end !== undefined)
      await leader.query('SELECT pg_replication_slot_advance($1, $2::pg_lsn)', [slot, end])
  }
}

function numberOf(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/')
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}
