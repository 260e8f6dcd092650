// The demo as a stranger starts it, without a terminal: one power cut, and nothing left behind.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chown, readdir } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { serverAccount } from '../../src/demo/account.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
/** For each demo. A busy machine needs three minutes for both. */
const WITHIN_MS = 300_000

// As /var/tmp would be: a directory that the account of the servers may write.
const account = await serverAccount()
await chown(work.data, account.uid, account.gid)

/** The README's command. Started by root it packs the program and runs the copy as another user. */
const README_COMMAND = ['npm', 'run', '--silent', 'demo', '--']

/** Runs a demo until it ends, or sends SIGINT once `interruptAt` was printed. */
async function demo(command: readonly string[], interruptAt?: RegExp) {
  const [program = '', ...args] = [...command, '--once', '--data', work.data]
  const cwd = path.resolve(import.meta.dirname, '../..')
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: WITHIN_MS })
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

test('npm run demo -- --once: the power of the leader is cut, writing comes back, no acknowledged row is lost or doubled', async t => {
  const { code, text } = await demo(README_COMMAND)
  assert.equal(code, 0, text)
  if (process.getuid?.() === 0) assert.match(text, /started as root: the demo runs as the user pgherd/)
  const rows =
    /([\d,]+) rows acknowledged: 0 missing, 0 doubled(?:; \d+ rows? there without an acknowledgement)?; longest wait ([\d.]+) s/.exec(
      text,
    )
  assert.ok(Number(rows?.[1]?.replaceAll(',', '')) >= 200, text)
  // The new leader's own figure of its promotion may come too late for the line, and the first write later than the line:
  // then it has a line of its own.
  assert.match(
    text,
    /failover to timeline 2: pg1 -> pg\d in [\d.]+ s \(last good answer to key gone [\d.]+, lock [\d.]+(?:, promote [\d.]+)?, routed [\d.]+\); \d+ sessions cut, \d+ held; (?:first write [\d.]+ m?s later|the writers still wait)/,
  )
  assert.equal(text.match(/first write [\d.]+ m?s later/g)?.length, 1, text)
  t.diagnostic(rows?.[0] ?? '')
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})

test('a demo that is interrupted removes everything', async () => {
  const { code, text } = await demo([...work.program, 'demo'], /pg1 has made a database/)
  assert.notEqual(code, 0)
  assert.match(text, /removing everything/)
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})
