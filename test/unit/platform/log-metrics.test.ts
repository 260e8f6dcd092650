import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { Registry } from 'prom-client'
import { waitFor } from '../../../src/demo/wait.ts'
import { openLog } from '../../../src/platform/log.ts'
import { LogFile } from '../../../src/platform/log-file.ts'
import { registerLogMetrics } from '../../../src/platform/log-metrics.ts'

/** A file on a disk that takes nothing, with room for five lines. */
async function fullDisk(t: TestContext): Promise<LogFile> {
  const options = { bytesMax: 1e9, oldFiles: 1, linesMax: 5, mode: undefined }
  const file = await LogFile.open({ path: '/dev/full', ...options })
  t.after(() => file.close())
  return file
}

test('lines that a disk does not take are counted, and stay counted when the log goes elsewhere', async t => {
  const log = openLog({ type: 'plain', level: 'info', fd: 2 })
  const registry = new Registry()
  registerLogMetrics(registry, () => log.health())
  const value = async (name: string) =>
    new RegExp(`^${name} (\\d+)$`, 'm').exec(await registry.metrics())?.[1]
  assert.equal(await value('pgherd_log_lines_lost_total'), '0')

  const first = await fullDisk(t)
  log.setFile(first)
  for (let line = 1; line <= 8; line += 1) log.info(`line ${line}`)
  await waitFor('the lines to be given up', { withinMs: 5_000, everyMs: 5 }, async () => {
    return (await value('pgherd_log_lines_lost_total')) === '3'
  })
  assert.equal(await value('pgherd_log_lines_queued'), '5')

  const second = await fullDisk(t)
  log.setFile(second)
  assert.equal(await value('pgherd_log_lines_lost_total'), '3')
  for (let line = 1; line <= 7; line += 1) log.info(`line ${line}`)
  assert.equal(await value('pgherd_log_lines_lost_total'), '5')
  log.setFile(undefined)
  assert.equal(await value('pgherd_log_lines_lost_total'), '5')
  assert.equal(await value('pgherd_log_lines_queued'), '0')
})
