// A terminal over streams: works with a person, with a pipe and with expect.

import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { AbortedError, type Terminal } from './terminal.ts'

const ANSWERS_MAX = 1_000
const CLEAR_SCREEN = '\u001b[2J\u001b[H'

export class LineTerminal implements Terminal {
  readonly #input: Readable
  readonly #output: Writable & { readonly isTTY?: boolean }
  readonly #errors: Writable
  #lines: Interface | undefined
  readonly #answers: string[] = []
  #isOver = false
  #wake: (() => void) | undefined

  constructor(input: Readable, output: Writable, errors: Writable) {
    this.#input = input
    this.#output = output
    this.#errors = errors
  }

  print(text: string): void {
    this.#output.write(text)
  }

  warn(text: string): void {
    this.#errors.write(text)
  }

  clear(): void {
    if (this.#output.isTTY === true) this.#output.write(CLEAR_SCREEN)
  }

  async ask(question: string, fallback: string): Promise<string> {
    const answer = await this.#question(`${question} [${fallback}]: `)
    return answer === '' ? fallback : answer
  }

  async confirm(question: string): Promise<boolean> {
    for (;;) {
      const answer = (await this.#question(`${question} [y/N]: `)).toLowerCase()
      if (['y', 'yes'].includes(answer)) return true
      if (['', 'n', 'no'].includes(answer)) return false
      this.print('Error: invalid input\n')
    }
  }

  /** Lets go of the input, so that the process can end. */
  close(): void {
    this.#lines?.close()
    this.#input.destroy()
  }

  async #question(prompt: string): Promise<string> {
    this.#open()
    this.#output.write(prompt)
    while (this.#answers.length === 0 && !this.#isOver) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const answer = this.#answers.shift()
    if (answer !== undefined) return answer.trim()
    this.#output.write('\n')
    throw new AbortedError()
  }

  /** The input is read from the first question on: a pipe that is never asked stays untouched. */
  #open(): void {
    if (this.#lines !== undefined) return
    this.#lines = createInterface({ input: this.#input, crlfDelay: Number.POSITIVE_INFINITY })
    this.#lines.on('line', line => {
      if (this.#answers.length < ANSWERS_MAX) this.#answers.push(line)
      this.#wake?.()
    })
    this.#lines.on('close', () => {
      this.#isOver = true
      this.#wake?.()
    })
  }
}
