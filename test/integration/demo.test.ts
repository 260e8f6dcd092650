// The demo as a stranger starts it, without a terminal: one power cut, and nothing left behind.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import test, { after } from 'node:test'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const WITHIN_MS = 150_000

/** Runs `pgherd demo` until it ends, or sends SIGINT once `interruptAt` was printed. */
async function demo(words: readonly string[], interruptAt?: RegExp) {
  const [program = '', ...args] = [...work.program, 'demo', ...words, '--data', work.data]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: WITHIN_MS })
  let text = ''
  const read = (chunk: Buffer) => {
    text += chunk.toString()
    if (interruptAt?.test(text)) child.kill('SIGINT')
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, text }
}

test('demo --once: the power of the leader is cut, writing comes back, no acknowledged row is lost or doubled', async t => {
  const { code, text } = await demo(['--once'])
  assert.equal(code, 0, text)
  const rows =
    /([\d,]+) rows acknowledged: 0 missing, 0 doubled(?:; \d+ rows? there without an acknowledgement)?; longest wait ([\d.]+) s/.exec(
      text,
    )
  assert.ok(Number(rows?.[1]?.replaceAll(',', '')) >= 200, text)
  assert.match(
    text,
    /failover to timeline 2: pg1 -> pg\d in [\d.]+ s \(last good answer to key gone [\d.]+, lock [\d.]+, promote [\d.]+, routed [\d.]+\); \d+ sessions cut, \d+ held; first write [\d.]+ m?s later/,
  )
  t.diagnostic(rows?.[0] ?? '')
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})

test('a demo that is interrupted removes everything', async () => {
  const { code, text } = await demo(['--once'], /pg1 has made a database/)
  assert.notEqual(code, 0)
  assert.match(text, /removing everything/)
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})
