// A terminal over streams: works with a person, with a pipe and with expect.

import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { UserError } from '../platform/errors.ts'
import { AbortedError, type Terminal } from './terminal.ts'

const ANSWERS_MAX = 1_000
const COLUMNS = 80
const ROWS = 24
const CLEAR_SCREEN = '\u001b[2J\u001b[H'

type Keyboard = Readable & { setRawMode?(isRaw: boolean): unknown }
type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

export class LineTerminal implements Terminal {
  readonly #input: Keyboard
  readonly #output: Screen
  readonly #errors: Writable
  #lines: Interface | undefined
  readonly #answers: string[] = []
  #isOver = false
  #wake: (() => void) | undefined

  constructor(input: Keyboard, output: Screen, errors: Writable) {
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

  async demand(question: string): Promise<string> {
    for (;;) {
      const answer = await this.#question(`${question}: `)
      if (answer !== '') return answer
    }
  }

  async secret(question: string): Promise<string> {
    if (this.#input.setRawMode === undefined) return this.demand(question)
    this.#output.write(`${question}: `)
    this.#input.setRawMode(true)
    try {
      return await this.#typedUnseen()
    } finally {
      this.#input.setRawMode(false)
      this.#output.write('\n')
    }
  }

  async #typedUnseen(): Promise<string> {
    let typed = ''
    for await (const chunk of this.#input) {
      for (const char of String(chunk)) {
        if (char === '\r' || char === '\n') return typed
        if (char === '\u0003' || char === '\u0004') throw new AbortedError()
        typed = char === '\u007f' || char === '\b' ? typed.slice(0, -1) : typed + char
      }
    }
    throw new AbortedError()
  }

  async readAll(bytesMax: number): Promise<string> {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of this.#input) {
      bytes += Buffer.byteLength(chunk as Buffer)
      if (bytes > bytesMax) throw new UserError('the standard input is too long')
      chunks.push(Buffer.from(chunk as Buffer))
    }
    return Buffer.concat(chunks).toString('utf8')
  }

  get isScreen(): boolean {
    return this.#output.isTTY === true
  }

  get hasColours(): boolean {
    return this.isScreen && (process.env['NO_COLOR'] ?? '') === ''
  }

  get size(): { readonly columns: number; readonly rows: number } {
    // A terminal that nobody gave a size, as a script's, says 0 by 0.
    return { columns: this.#output.columns || COLUMNS, rows: this.#output.rows || ROWS }
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
    // The question stands on the screen without an end of its line; scripts read one line and no empty one before it.
    if (this.isScreen) this.#errors.write('\n')
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
