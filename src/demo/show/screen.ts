// The terminal: a screen of its own that leaves no trace, redrawn in one write. Gives the terminal back whatever happens.

import type { WriteStream } from 'node:tty'
import type { Picture } from './picture.ts'
import { type Canvas, draw } from './table.ts'
import { paint } from './text.ts'

const ESC = '\x1b['
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`
/** Terminals that know it show the new picture at once; the others ignore it. */
const HOLD = `${ESC}?2026h`
const SHOW = `${ESC}?2026l`
const EVERY_MS = 250
const COLUMNS_MIN = 20

/** Draws what `picture` says four times a second, until `close`. */
export class Screen {
  readonly #out: WriteStream
  readonly #picture: () => Picture
  readonly #env: NodeJS.ProcessEnv
  readonly #timer: NodeJS.Timeout
  #last = ''
  #isClosed = false

  constructor(out: WriteStream, picture: () => Picture, env: NodeJS.ProcessEnv = process.env) {
    this.#out = out
    this.#picture = picture
    this.#env = env
    // A terminal that was closed takes no more bytes; the signal that comes with it ends us.
    out.on('error', () => {})
    out.on('resize', this.#onResize)
    out.write(ENTER)
    this.#timer = setInterval(() => this.redraw(), EVERY_MS)
    this.redraw()
  }

  /** Draws at once. Writes nothing when nothing has changed, or while the terminal is behind. */
  redraw(): void {
    if (this.#isClosed || this.#out.writableLength > 0) return
    const hasColours = this.#out.hasColors(16, this.#env)
    const lines = draw(this.#picture(), this.#canvas()).map(line => `${paint(line, hasColours)}${ESC}K`)
    const text = `${ESC}H${lines.join('\r\n')}${ESC}J`
    if (text === this.#last) return
    this.#last = text
    this.#out.write(`${HOLD}${text}${SHOW}`)
  }

  /** Gives the terminal back as it was. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#timer)
    this.#out.off('resize', this.#onResize)
    this.#out.write(LEAVE)
  }

  readonly #onResize = (): void => {
    this.#last = ''
    this.redraw()
  }

  #canvas(): Canvas {
    // A terminal that does not know its size (a serial console) says 0.
    const columns = this.#out.columns || 80
    return {
      columns: Math.max(COLUMNS_MIN, columns),
      rows: this.#out.rows || 24,
      isUnicode: isUnicode(this.#env),
    }
  }
}

/** By the locale's name, in the order that the C library looks at its variables. */
export function isUnicode(env: NodeJS.ProcessEnv): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find(
    value => value !== undefined && value !== '',
  )
  return /utf-?8/i.test(locale ?? '')
}
