// What a test run may have left on the machine itself, outside the files' own namespaces: compared before and after.

import { readFileSync } from 'node:fs'
import { findProgram } from '../paths.js'
import { runQuiet } from '../run.js'
import { describeProcess, killUntilGone, processesWith } from './isolate.js'

/** @typedef {{ name: string, entries: ReadonlySet<string> }} Trace */

/**
 * Everything outside that a test could have made: network namespaces with a name, nft tables, mounts, links.
 * @returns {Promise<readonly Trace[]>}
 */
export async function traces() {
  return [
    { name: 'network namespace', entries: await lines('ip', ['netns', 'list']) },
    { name: 'nft table', entries: await lines('nft', ['list', 'tables']) },
    {
      name: 'network link',
      entries: await lines('ip', ['-o', '-br', 'link'], line => line.split(/\s/)[0] ?? ''),
    },
    { name: 'mount', entries: mounts() },
  ]
}

/**
 * What is there now and was not before, and processes of this run that still live; each as a sentence. The processes are
 * killed.
 * @param {readonly Trace[]} before
 * @param {string} runMark `PGHERD_RUN=...`, in the environment of everything that the run started
 * @returns {Promise<string[]>}
 */
export async function leftTraces(before, runMark) {
  const now = await traces()
  const made = now.flatMap(({ name, entries }) => {
    const known = before.find(trace => trace.name === name)?.entries ?? new Set()
    return [...entries].filter(entry => !known.has(entry)).map(entry => `left a ${name} behind: ${entry}`)
  })
  const alive = processesWith(runMark).map(pid => `left a process behind: ${pid} ${describeProcess(pid)}`)
  await killUntilGone(() => processesWith(runMark))
  return [...made, ...alive]
}

function mounts() {
  const text = readFileSync('/proc/self/mounts', 'utf8')
  return new Set(
    text
      .split('\n')
      .map(line => line.split(' ')[1] ?? '')
      .filter(at => at.includes('pgherd')),
  )
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {(line: string) => string} [pick]
 * @returns {Promise<Set<string>>}
 */
async function lines(program, args, pick = line => line) {
  const file = findProgram(program)
  const { code, stdout } = file === undefined ? { code: 1, stdout: '' } : await runQuiet(file, args)
  return new Set(
    code === 0
      ? stdout
          .split('\n')
          .filter(line => line !== '')
          .map(pick)
      : [],
  )
}
