// Runs other programs for the scripts. A Ctrl-C reaches the child as well (same terminal); we wait until it has cleaned up.

import { spawn } from 'node:child_process'

/** @type {readonly NodeJS.Signals[]} */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Runs a program on our terminal and waits for it. Signals sent to us are passed on and we stay until the child is gone,
 * so that its clean-up is never cut off. Resolves to the exit code (128 + signal number when a signal ended it).
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>}
 */
export function runInherited(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', ...options })
    const handlers = FORWARDED.map(signal => {
      const handler = () => {
        // A terminal sends SIGINT to the whole foreground group: forwarding it as well would count as a second Ctrl-C.
        if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
      }
      process.on(signal, handler)
      return { signal, handler }
    })
    const cleanUp = () => {
      for (const { signal, handler } of handlers) process.off(signal, handler)
    }
    child.on('error', error => {
      cleanUp()
      reject(error)
    })
    child.on('close', (code, signal) => {
      cleanUp()
      resolve(code ?? 128 + signalNumber(signal))
    })
  })
}

/**
 * Runs a program quietly and collects what it prints. Never rejects: a program that cannot start has code 127.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>}
 */
export function runQuiet(program, args, options = {}) {
  return new Promise(resolve => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', chunk => {
      stdout += chunk
    })
    child.stderr?.on('data', chunk => {
      stderr += chunk
    })
    child.on('error', error => resolve({ code: 127, stdout, stderr: error.message }))
    child.on('close', (code, signal) => resolve({ code: code ?? 128 + signalNumber(signal), stdout, stderr }))
  })
}

/**
 * @param {NodeJS.Signals | null} signal
 * @returns {number}
 */
function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[String(signal)] ?? 1
}
