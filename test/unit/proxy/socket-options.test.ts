// A kernel, or what stands in front of it (seccomp, a sandbox), that refuses an option of a socket: no session ends of it.

import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import test from 'node:test'
import { nativeLibrary, SystemCallError } from '../../../src/platform/native.ts'
import {
  canSetUserTimeout,
  dropUnsent,
  forgetUserTimeout,
  handleOf,
  OptionCalls,
  setListenerUserTimeout,
  setUserTimeout,
  shutWriting,
} from '../../../src/proxy/socket-options.ts'

/** A C library in which calls of these names fail, as they do in the real one; the others are done. */
function libraryThatRefuses(...names: readonly string[]) {
  const called: string[] = []
  const refused = new Set(names)
  const bind = (prototype: string) => () => {
    const name = /(\w+)\(/.exec(prototype)?.[1] ?? ''
    called.push(name)
    if (refused.has(name)) throw new SystemCallError(name, 'EPERM')
    return 3
  }
  return { called, refused, bind }
}

test('a descriptor that is no socket any more keeps what it has, and nobody is the worse for it', () => {
  const fd = openSync('/dev/null', 'r')
  for (const gone of [{ fd }, { fd: 1_000_000 }]) {
    setUserTimeout(gone, 60_000)
    setListenerUserTimeout(gone, 60_000)
    dropUnsent(gone)
    forgetUserTimeout(gone)
  }
  closeSync(fd)
})

for (const name of ['setsockopt', 'getsockopt']) {
  test(`a machine that refuses ${name} has no limit: that is tried once, on a socket that is closed again`, () => {
    const library = libraryThatRefuses(name)
    assert.equal(new OptionCalls(library).hasUserTimeout, false)
    assert.equal(library.called.filter(one => one === name).length, 1)
    assert.deepEqual([library.called[0], library.called.at(-1)], ['socket', 'close'])
  })
}

test('a refusal that comes later counts as an option that is not there, whoever asked for it', () => {
  const library = libraryThatRefuses()
  const calls = new OptionCalls(library)
  assert.equal(calls.hasUserTimeout, true)
  assert.deepEqual([calls.setUserTimeout(3, 60_000), calls.setNoLinger(3)], [true, true])
  for (const name of ['setsockopt', 'getsockopt']) library.refused.add(name)
  assert.deepEqual([calls.setUserTimeout(3, 60_000), calls.setNoLinger(3)], [false, false])
  assert.equal(calls.readTcpInfo(3), undefined)
})

test('a machine without a descriptor for the trial is believed to have the options', () => {
  assert.equal(new OptionCalls(libraryThatRefuses('socket')).hasUserTimeout, true)
})

test('this machine has the limit, and the account of a socket', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const fd = handleOf(server as unknown as Socket)?.fd ?? -1
  const calls = new OptionCalls(nativeLibrary())
  assert.deepEqual(
    [canSetUserTimeout(), calls.hasUserTimeout, calls.setUserTimeout(fd, 1000)],
    [true, true, true],
  )
  assert.ok((calls.readTcpInfo(fd)?.length ?? 0) > 100)
})

test('a FIN for which there is no connection any more is told from one that could not be asked for', () => {
  const library = nativeLibrary()
  const calls = new OptionCalls(library)
  const fd = library.bind('int socket(int domain, int type, int protocol)')(2, 1, 0)
  assert.equal(calls.shutWriting(fd), 'nobody')
  closeSync(fd)
  assert.equal(calls.shutWriting(fd), 'unknown')
  assert.equal(shutWriting({ fd: -1 }), 'unknown')
})
