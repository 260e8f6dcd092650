// The port's contract over the simulation's model of PostgreSQL, on virtual time.

import { Machine, Process } from '../simulation/core/machine.ts'
import { Network } from '../simulation/core/network.ts'
import { Random } from '../simulation/core/random.ts'
import { Scheduler } from '../simulation/core/scheduler.ts'
import { localConfig } from '../simulation/local-config.ts'
import { SimPostgres } from '../simulation/postgres/port.ts'
import { SimServer } from '../simulation/postgres/server.ts'
import { PostgresWorld } from '../simulation/postgres/world.ts'
import { postgresContract, type ServerUnderTest } from '../support/postgres-suite.ts'

const STEP_MS = 5

postgresContract('simulation', async () => {
  const random = new Random('port contract')
  const scheduler = new Scheduler(random.fork('order'))
  const network = new Network(scheduler, random.fork('network'))
  const servers = new PostgresWorld(scheduler, network, random.fork('postgres'), {
    onAcknowledged: () => {},
    onPromoted: () => {},
    onCorrupted: (_server, says) => {
      throw new Error(says)
    },
    onTwoActions: (_server, says) => {
      throw new Error(says)
    },
    onSyncWait: () => {},
    onRewound: () => {},
  })
  const clock = new Process('suite', new Machine('suite', scheduler, random.fork('suite')))
  const pass = (durationMs: number) => scheduler.run(scheduler.nowMs + durationMs, () => {})
  const settle = async <T>(call: Promise<T>): Promise<T> => {
    let isOver = false
    const end = () => {
      isOver = true
    }
    call.then(end, end)
    while (!isOver) await pass(STEP_MS)
    return call
  }
  let made = 0
  return {
    clock,
    settle,
    pass,
    close: async () => {},
    member: async (name): Promise<ServerUnderTest> => {
      made += 1
      const machine = new Machine(name, scheduler, random.fork(name))
      const watchdog = { mode: 'off', device: '', safetyMarginSeconds: 5, driver: 'default' } as const
      const local = localConfig(name, made, { dynamic: {}, watchdog }, {})
      const server = new SimServer(servers, machine, local.postgres.connectAddress)
      const port = new SimPostgres(server, new Process(`${name}/agent`, machine), random.fork(`${name}/port`))
      const write = async (withinMs: number) => {
        let isAcknowledged = false
        const backend = server.connect(() => {})
        backend?.write({ id: 1, isAcknowledged: false }, 1, result => {
          isAcknowledged = result === 'acknowledged'
        })
        for (let waitedMs = 0; waitedMs < withinMs && !isAcknowledged; waitedMs += STEP_MS)
          await pass(STEP_MS)
        backend?.end()
        return isAcknowledged
      }
      return { name, port, upstream: { member: name, address: local.postgres.connectAddress }, write }
    },
  }
})
