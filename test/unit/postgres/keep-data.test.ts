// The note beside a directory that a method with keep_data works on: when it is taken away, and what is done without an answer.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { ReplicaMethod } from '../../../src/config/agent/types.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { HaError } from '../../../src/platform/errors.ts'
import { makeRoom } from '../../../src/postgres/bootstrap.ts'
import { clone } from '../../../src/postgres/clone.ts'
import type { Context } from '../../../src/postgres/context.ts'
import type { DirectoryLook, DirectoryState } from '../../../src/postgres/data-directory.ts'
import { fillDataDirectory } from '../../../src/postgres/method-program.ts'

const soon = () => Deadline.in(realClock, 20_000)

function looked(state: DirectoryState, majorVersion?: number): DirectoryLook {
  return { state, majorVersion, hasStandbySignal: false, realPath: '/data', postmaster: undefined }
}

/** A directory that gives these answers, the last one for ever. */
function scene(
  answers: readonly (DirectoryLook | undefined)[],
  replicaMethods: readonly ReplicaMethod[] = [],
) {
  const said: string[] = []
  const left = [...answers]
  const say = (what: string) => async () => void said.push(what)
  const context = {
    clock: realClock,
    log: { warning: () => {} },
    config: { file: 'patroni.yml', scope: 'test', name: 'pg2', postgres: { dataDir: '/data' } },
    settings: { replicaMethods },
    writePassfile: async () => {},
    data: {
      look: async () => (left.length > 1 ? left.shift() : left[0]),
      beginChange: say('begin'),
      endChange: say('end'),
      discardContents: say('discard'),
      moveAside: say('aside'),
    },
  } as unknown as Context
  return { said, context }
}

const method = (command: string, keepData: boolean): ReplicaMethod => ({
  name: command,
  command,
  options: [],
  noParams: true,
  keepData,
  noLeader: true,
})

for (const [what, look, isEnded] of [
  ['nothing is', looked('empty'), true],
  ['no directory is', looked('absent'), true],
  ['half of a cluster is', looked('unfinished', 15), false],
  ['a directory that nobody can read is', looked('unreadable'), false],
  ['nobody knows what is', undefined, false],
] as const)
  test(`a method that keeps data failed and ${what} there: the note ${isEnded ? 'goes' : 'stays'}`, async () => {
    const { said, context } = scene([look])
    const failed = (why: string) => new HaError('E_CLONE', why)
    const program = { command: 'false', args: [], keepsData: true, failed }
    await assert.rejects(fillDataDirectory(context, program, new AbortController().signal), /exit code 1/)
    assert.deepEqual(said, isEnded ? ['begin', 'end'] : ['begin'])
  })

for (const state of ['absent', 'empty'] as const)
  test(`a note beside a directory that is ${state} goes before anything is put there`, async () => {
    const { said, context } = scene([looked(state)])
    await makeRoom(context, soon())
    assert.deepEqual(said, ['end'])
  })

test('what a method that keeps data left is not removed while the directory does not answer', async () => {
  const methods = [method('false', true), method('true', false)]
  const { said, context } = scene([looked('empty'), looked('empty'), undefined], methods)
  await assert.rejects(clone(context, undefined, new AbortController().signal), /does not answer/)
  assert.deepEqual(said, ['end', 'begin'])
})

test('a program that ended well leaves no note, whoever wrote it', async () => {
  const { said, context } = scene([looked('initialized', 15)])
  const program = { command: 'true', args: [], failed: (why: string) => new HaError('E_CLONE', why) }
  await fillDataDirectory(context, program, new AbortController().signal)
  assert.deepEqual(said, ['end'])
})
