// The port's contract over real servers: the model of the simulation keeps the same.

import { realClock } from '../../src/platform/clock.ts'
import { postgresContract, type ServerUnderTest } from '../support/postgres-suite.ts'
import { connectTo, Rig, within } from './postgres-rig.ts'

postgresContract('real servers', async () => {
  const rig = await Rig.open()
  return {
    clock: realClock,
    settle: call => call,
    pass: durationMs => realClock.sleep(durationMs),
    close: () => rig.cleanUp(),
    member: async (name): Promise<ServerUnderTest> => {
      const member = await rig.member(name)
      const write = async (withinMs: number) => {
        const connection = await connectTo(member)
        try {
          await connection.query('CREATE TABLE IF NOT EXISTS row ()', within(withinMs))
          await connection.query('INSERT INTO row DEFAULT VALUES', within(withinMs))
          return true
        } catch {
          return false
        } finally {
          connection.close()
        }
      }
      return { name, port: member.server, upstream: member.upstream, write }
    },
  }
})
