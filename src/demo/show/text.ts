// Styled lines for a terminal: built as values, clipped, wrapped and painted at last. Knows nothing of what they say.

import { styleText } from 'node:util'

/** Names of `util.styleText`, as many as needed. */
export type Style = Parameters<typeof styleText>[0]

/** A piece of text in one style. Every character is one column wide: use no others. */
export interface Span {
  readonly text: string
  readonly style?: Style
}

/** One line of the terminal, from left to right. */
export type Line = readonly Span[]

/** A span; `style` may be left out. */
export function span(text: string, style?: Style): Span {
  return style === undefined ? { text } : { text, style }
}

/** `text` filled with blanks to `columns`, or cut to them. Negative: the blanks come first. */
export function pad(text: string, columns: number): string {
  const width = Math.abs(columns)
  const cut = [...text].slice(0, width).join('')
  return columns < 0 ? cut.padStart(width) : cut.padEnd(width)
}

/** How many columns the line takes. */
export function widthOf(line: Line): number {
  return line.reduce((sum, { text }) => sum + [...text].length, 0)
}

/** The line without what lies right of `columns`; an ellipsis says that something is missing. */
export function clip(line: Line, columns: number): Line {
  if (widthOf(line) <= columns) return line
  const kept: Span[] = []
  let left = Math.max(0, columns - 1)
  for (const piece of line) {
    const text = [...piece.text].slice(0, left).join('')
    if (text !== '') kept.push({ ...piece, text })
    left -= [...text].length
  }
  return columns > 0 ? [...kept, { text: '…' }] : []
}

/** Breaks text at blanks into lines of at most `columns`; a longer word is cut. Never empty. */
export function wrap(text: string, columns: number): readonly string[] {
  const width = Math.max(1, columns)
  const lines: string[] = []
  let current = ''
  for (const word of text.split(' ')) {
    const longer = current === '' ? word : `${current} ${word}`
    if (longer.length <= width) {
      current = longer
      continue
    }
    if (current !== '') lines.push(current)
    current = word
    for (; current.length > width; current = current.slice(width)) lines.push(current.slice(0, width))
  }
  return [...lines, current]
}

/** The line as bytes for the terminal: with its styles, or without any. */
export function paint(line: Line, hasColours: boolean): string {
  return line
    .map(({ text, style }) =>
      hasColours && style !== undefined ? styleText(style, text, { validateStream: false }) : text,
    )
    .join('')
}
