// The demo as a stranger starts it, without a terminal: one power cut, and nothing left behind.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chown, readdir, readFile, readlink, stat } from 'node:fs/promises'
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

const CHECKOUT = path.resolve(import.meta.dirname, '../..')

/** A process of the demo: who runs it, and what it was started from. */
interface Running {
  readonly owner: string
  /** `agent`, `proxy` or the name of the program. */
  readonly what: string
  readonly files: readonly string[]
}

/** Everything whose home or working directory is one of the demo's hosts. What ends meanwhile is left out. */
async function runningNow(): Promise<readonly Running[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async pid => {
      try {
        const environment = await readFile(`/proc/${pid}/environ`, 'latin1')
        const cwd = await readlink(`/proc/${pid}/cwd`)
        const isOurs = environment.includes(`\0HOME=${work.data}/`) || cwd.startsWith(`${work.data}/`)
        if (!isOurs) return []
        const { uid, gid } = await stat(`/proc/${pid}`)
        const words = (await readFile(`/proc/${pid}/cmdline`, 'latin1')).split('\0')
        const program = await readlink(`/proc/${pid}/exe`)
        const role = words.find(word => word === 'agent' || word === 'proxy') ?? path.basename(program)
        return [{ owner: `${uid}:${gid}`, what: role, files: [program, cwd, ...words] }]
      } catch {
        return []
      }
    }),
  )
  return found.flat()
}

/** The README's command. Started by root it packs the program and runs the copy as another user. */
const README_COMMAND = ['npm', 'run', '--silent', 'demo', '--']

/** Runs a demo until it ends; once `at` was printed, `act` is called with its process. */
async function demo(command: readonly string[], at: RegExp, act: (child: ChildProcess) => void) {
  const [program = '', ...args] = [...command, '--once', '--data', work.data]
  const child = spawn(program, args, { cwd: CHECKOUT, stdio: ['ignore', 'pipe', 'pipe'], timeout: WITHIN_MS })
  let text = ''
  let hasActed = false
  const read = (chunk: Buffer) => {
    text += chunk.toString()
    if (hasActed || !at.test(text)) return
    hasActed = true
    act(child)
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, text }
}

test('npm run demo -- --once: the power of the leader is cut, writing comes back, no acknowledged row is lost or doubled', async t => {
  let looked: Promise<readonly Running[]> | undefined
  const { code, text } = await demo(README_COMMAND, /the power goes out on pg1/, () => {
    looked = runningNow()
  })
  assert.equal(code, 0, text)
  const running = (await looked) ?? []
  for (const what of ['etcd', 'agent', 'postgres', 'proxy']) {
    assert.ok(
      running.some(process => process.what === what),
      `${what} is not among ${running.map(process => process.what)}`,
    )
  }
  for (const { owner, files } of running) {
    assert.equal(owner, `${account.uid}:${account.gid}`, files.join(' '))
    // A checkout of root's may be closed to others.
    if (process.getuid?.() === 0) assert.ok(!files.some(file => file.startsWith(CHECKOUT)), files.join(' '))
  }
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
  const { code, text } = await demo([...work.program, 'demo'], /pg1 has made a database/, child =>
    child.kill('SIGINT'),
  )
  assert.notEqual(code, 0)
  assert.match(text, /removing everything/)
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})
