// What happened in a world, line by line: for the replay of a failing seed and for the stories.

export class Trace {
  readonly lines: string[] = []
  readonly #linesMax: number

  constructor(linesMax = 100_000) {
    this.#linesMax = linesMax
  }

  add(atMs: number, source: string, says: string): void {
    if (this.lines.length >= this.#linesMax) this.lines.shift()
    this.lines.push(`${(atMs / 1000).toFixed(3).padStart(9)} ${source.padEnd(8)} ${says}`)
  }
}
