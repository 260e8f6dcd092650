// Whether a postmaster lives: one that nobody reaped does not, and a process that got its number later is another one.

import assert from 'node:assert/strict'
import { copyFile, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

const directory = await realpath(await mkdtemp(join(tmpdir(), 'pgherd-process-')))
after(() => rm(directory, { recursive: true, force: true }))
const program = join(directory, 'postgres')
await copyFile('/bin/sleep', program)

/** Prints what became of each question, as JSON; run where numbers of processes are its own. */
const story = `
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Postmaster } from '${new URL('../../src/postgres/postmaster.ts', import.meta.url).href}'

const [program, directory] = process.argv.slice(2)
const file = pid => ({ pid, singleUser: false, startedAtSeconds: undefined, port: undefined, status: 'ready' })
const find = pid => Postmaster.find(file(pid), directory)
const start = async () => {
  const child = spawn(program, ['60'], { cwd: directory, stdio: 'ignore' })
  await once(child, 'spawn')
  return child
}
const end = async child => {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
const said = {}

const first = await start()
const found = await find(first.pid)
said.lives = await found?.isAlive()
await end(first)
// Clock ticks of the kernel.
await sleep(50)
await writeFile('/proc/sys/kernel/ns_last_pid', String(first.pid - 1))
const second = await start()
said.hasItsNumber = second.pid === first.pid
said.otherIsTheSame = await found?.isAlive()
said.otherIsFound = (await find(second.pid)) !== undefined
said.otherIsSignalled = found?.signal('SIGKILL')
await end(second)

const parent = spawn('/bin/sh', ['-c', '"$1" 60 & echo $!; exec sleep 60', 'sh', program], {
  cwd: directory,
  stdio: ['ignore', 'pipe', 'ignore'],
})
const [line] = await once(parent.stdout, 'data')
const pid = Number(String(line))
let living
for (let round = 0; living === undefined && round < 200; round += 1) {
  living = await find(pid)
  await sleep(20)
}
said.childLives = await living?.isAlive()
process.kill(pid, 'SIGKILL')
const state = async () => /\\) (.)/.exec(await readFile('/proc/' + pid + '/stat', 'utf8'))?.[1]
for (let round = 0; (await state()) !== 'Z' && round < 200; round += 1) await sleep(20)
said.isZombie = (await state()) === 'Z'
said.zombieIsFound = (await find(pid)) !== undefined
said.zombieLives = await living?.isAlive()
parent.kill('SIGKILL')
process.stdout.write(JSON.stringify(said))
`

test('a postmaster lives while its process does, is no zombie and is the one that was found', async () => {
  const script = join(directory, 'story.ts')
  await writeFile(script, story)
  const alone = ['--pid', '--fork', '--kill-child', '--mount-proc', '--', process.execPath]
  const { code, stdout, stderr } = await runChild('unshare', [...alone, script, program, directory], {
    by: Deadline.in(realClock, 30_000),
  })
  assert.equal(code, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), {
    lives: true,
    hasItsNumber: true,
    otherIsTheSame: false,
    otherIsFound: true,
    otherIsSignalled: false,
    childLives: true,
    isZombie: true,
    zombieIsFound: false,
    zombieLives: false,
  })
})
