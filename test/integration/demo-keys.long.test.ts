// The demo in a terminal, as a person plays with it: every key once, and the story that it tells.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const READY_WITHIN_MS = 120_000
const ACT_WITHIN_MS = 90_000

/** A demo behind a terminal that `script` makes; what it shows is collected. */
function play() {
  const command = [...work.program, 'demo', '--data', work.data].map(word => `'${word}'`).join(' ')
  const sized = `stty rows 80 cols 160; exec ${command}`
  const child = spawn('script', ['-q', '-f', '-e', '-c', sized, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TERM: 'xterm', SHELL: '/bin/sh' },
  })
  // The demo removes everything when its terminal is closed.
  work.defer(() => {
    child.kill('SIGTERM')
    return ended
  })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
  })
  return { press: (key: string) => child.stdin.write(key), ended, shown: () => shown }
}

/** The picture that stands on the screen now, without colours. */
function screen(shown: string): string {
  const frame = shown.slice(shown.lastIndexOf('\x1b[?2026h'))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal's sequences begin with ESC
  return frame.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
}

const countOf = (text: string, part: string) => text.split(part).length - 1

test('in a terminal k, a, f and s each tell the failover line and the writers’ wait, and q gives the account', async t => {
  const demo = play()
  await waitFor('the live table', { withinMs: READY_WITHIN_MS }, note => {
    note(screen(demo.shown()))
    return /psql -h [\d.]+ -p 5000/.test(screen(demo.shown()))
  })
  const acts = [
    ['s', 'is asked to hand over'],
    ['k', 'the power goes out on'],
    ['a', 'agent is killed; its server goes on'],
    ['f', 'freezes, like a paused virtual machine'],
  ] as const
  for (const [index, [key, begins]] of acts.entries()) {
    demo.press(key)
    await waitFor(`the end of ${key}`, { withinMs: ACT_WITHIN_MS }, note => {
      const now = screen(demo.shown())
      note(now)
      const isDone = countOf(now, 'the cluster is whole again') === index + 1
      return isDone && now.includes(begins) && !now.includes('under way')
    })
  }
  const quitAt = demo.shown().length
  demo.press('q')
  assert.equal(await demo.ended, 0)
  const story = demo.shown().slice(quitAt)
  // On one line, or on two where the writers had to wait for another standby to confirm.
  const lines = story.match(/failover to timeline \d+: pg\d -> pg\d in [^\r\n]+/g) ?? []
  const waits = story.match(/first write [\d.]+ m?s later/g) ?? []
  assert.deepEqual([lines.length, waits.length], [acts.length, acts.length], story)
  for (const [index, line] of lines.entries()) t.diagnostic(`${line}; ${waits[index]}`)
  assert.match(story, /rows acknowledged: 0 missing, 0 doubled/)
  assert.match(story, /removing everything/)
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})
