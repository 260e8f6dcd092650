// Keys of the terminal, or lines' letters when the input is a pipe. Turns bytes into what was asked for.

import type { ReadStream } from 'node:tty'
import type { FaultName } from './faults.ts'

/** What a key asks for. */
export type Wish = FaultName | 'help' | 'quit'

const WISHES: Readonly<Record<string, Wish>> = {
  k: 'kill',
  a: 'agent',
  f: 'freeze',
  s: 'switchover',
  '?': 'help',
  h: 'help',
  q: 'quit',
  // In raw mode Ctrl-C and Ctrl-D are keys like any other.
  '\x03': 'quit',
  '\x04': 'quit',
}

/** Every wish in a piece of input; what means nothing, the terminal's own sequences (arrows) included, is left out. */
export function wishesOf(input: string): readonly Wish[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal's sequences begin with ESC
  const plain = input.replace(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?/g, '')
  return [...plain].flatMap(key => WISHES[key.toLowerCase()] ?? [])
}

/** Listens until the returned function is called; then the terminal is as it was. The end of the input means nothing. */
export function listen(input: ReadStream, onWish: (wish: Wish) => void): () => void {
  const isTerminal = input.isTTY === true
  const onData = (data: Buffer | string) => {
    for (const wish of wishesOf(data.toString())) onWish(wish)
  }
  // A terminal that was closed, or a standard input that was never open.
  const onError = () => {}
  if (isTerminal) input.setRawMode(true)
  input.on('data', onData)
  input.on('error', onError)
  input.resume()
  return () => {
    input.off('data', onData)
    if (isTerminal) input.setRawMode(false)
    input.pause()
  }
}
