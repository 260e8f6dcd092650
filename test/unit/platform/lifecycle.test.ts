import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import test from 'node:test'
import { FATAL_EXIT_CODE, Lifecycle, type LifecycleOptions } from '../../../src/platform/lifecycle.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

class FakeProcess extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
}

function start(more: Partial<LifecycleOptions> = {}): {
  process: FakeProcess
  clock: FakeClock
  lifecycle: Lifecycle
  did: string[]
  said: string[]
} {
  const process = new FakeProcess()
  const clock = new FakeClock()
  const said: string[] = []
  const log = {
    ...silentLogger,
    warning: (line: string) => void said.push(line),
    error: (line: string) => void said.push(line),
    critical: (line: string) => void said.push(line),
  }
  const lifecycle = new Lifecycle({ clock, log, process, readsAgain: true, softStop: false, ...more })
  lifecycle.install()
  return { process, clock, lifecycle, did: [], said }
}

test('SIGTERM stops in the reverse order of the start, each step after the one before it', async () => {
  const { process, lifecycle, did } = start()
  for (const name of ['dcs', 'server', 'api']) {
    lifecycle.onStop(name, 1_000, async () => {
      did.push(`${name} begins`)
      await Promise.resolve()
      did.push(`${name} ends`)
    })
  }
  process.emit('SIGTERM')
  await lifecycle.stop('again')
  assert.deepEqual(did, ['api begins', 'api ends', 'server begins', 'server ends', 'dcs begins', 'dcs ends'])
  assert.equal(lifecycle.signal.aborted, true)
  assert.deepEqual(process.exits, [])
})

test('a step that hangs or fails does not keep the others from stopping', async () => {
  const { clock, lifecycle, did, said } = start()
  lifecycle.onStop('last', 1_000, async () => void did.push('last'))
  lifecycle.onStop('fails', 1_000, () => Promise.reject(new Error('disk gone')))
  lifecycle.onStop('hangs', 500, () => new Promise(() => {}))
  const stopped = lifecycle.stop('test')
  await clock.advance(500)
  await stopped
  assert.deepEqual(did, ['last'])
  assert.match(said.join('\n'), /stopping hangs: .*deadline[\s\S]*stopping fails: disk gone/)
})

test('a second signal runs the last acts and leaves at once', () => {
  const { process, lifecycle, did } = start()
  lifecycle.onStop('hangs', 60_000, () => new Promise(() => {}))
  lifecycle.onFatal(() => void did.push('fence'))
  process.emit('SIGINT')
  assert.deepEqual(did, [])
  process.emit('SIGINT')
  assert.deepEqual(did, ['fence'])
  assert.deepEqual(process.exits, [130])
})

test('an unhandled rejection runs the last acts first, then exits, once', () => {
  const { process, lifecycle, did, said } = start()
  lifecycle.onFatal(() => {
    did.push('fence')
    throw new Error('no pid')
  })
  lifecycle.onFatal(() => void did.push('second'))
  process.emit('unhandledRejection', new Error('boom'))
  process.emit('uncaughtException', new Error('boom again'))
  assert.deepEqual(did, ['fence', 'second'])
  assert.deepEqual(process.exits, [FATAL_EXIT_CODE])
  assert.deepEqual(said, ['unhandled rejection: boom'])
})

test('SIGHUP reloads and stops nothing', () => {
  const { process, lifecycle, did, said } = start()
  process.emit('SIGHUP')
  assert.deepEqual(said, ['SIGHUP: the start is not over: send it again then'])
  lifecycle.onReload(() => void did.push('reload'))
  process.emit('SIGHUP')
  assert.deepEqual(did, ['reload'])
  assert.equal(lifecycle.signal.aborted, false)
})

const NOT_READ = 'this process does not read its file again: restart it (pgherd check FILE first)'

test('a process that does not read its file again says so at SIGHUP and SIGUSR2, and goes on', () => {
  const { process, lifecycle, said } = start({ readsAgain: false })
  process.emit('SIGHUP')
  process.emit('SIGUSR2')
  assert.deepEqual(said, [`SIGHUP: ${NOT_READ}`, `SIGUSR2: ${NOT_READ}`])
  assert.deepEqual([lifecycle.signal.aborted, process.exits], [false, []])
})

test('SIGUSR2 where SIGHUP reads the file again says that', () => {
  const { process, lifecycle, did, said } = start()
  lifecycle.onReload(() => void did.push('reload'))
  process.emit('SIGUSR2')
  assert.deepEqual([said, did], [['SIGUSR2: nothing is done: SIGHUP reads the file again'], []])
})

test('SIGUSR1 is an ordered stop where a soft stop was asked for, and only a line elsewhere', async () => {
  const elsewhere = start()
  elsewhere.process.emit('SIGUSR1')
  assert.deepEqual(elsewhere.said, ['SIGUSR1: nothing is done: SIGTERM stops this process'])
  assert.equal(elsewhere.lifecycle.signal.aborted, false)
  const { process, lifecycle, did } = start({ softStop: true })
  lifecycle.onStop('proxy', 1_000, async () => void did.push('stopped'))
  process.emit('SIGUSR1')
  process.emit('SIGUSR1')
  await lifecycle.stop('again')
  assert.deepEqual([did, process.exits], [['stopped'], []], 'a second one does not hurry it')
})

test('the signals can be given back', () => {
  const { process, lifecycle } = start()
  lifecycle.uninstall()
  assert.deepEqual(process.eventNames(), [])
})
