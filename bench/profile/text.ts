// What perf and strace say, as text that can be kept: the same on every machine. Pure.

/** Perf's lines of the symbols that take most, without its comments. */
export function topSymbols(report: string, count: number): readonly string[] {
  return report
    .split('\n')
    .filter(line => /^\s*\d+\.\d+%/.test(line))
    .slice(0, count)
    .map(line => shortened(line.replace(/\s+-\s+-\s*$/, '').trimEnd()))
}

/** Absolute paths are cut down to their last part, and what perf names after a process or thread loses its number. */
export function shortened(text: string): string {
  return text
    .replaceAll(/(?:file:\/\/)?(?<![\w.])\/(?:[^\s/:]+\/)+/g, '')
    .replaceAll(/\bperf-\d+\.map\b/g, 'perf-PID.map')
    .replaceAll(/\[JIT\] tid \d+/g, found => '[JIT]'.padEnd(found.length))
}

/** How much of a workload was done, and in what time. */
export interface Work {
  readonly operations: number
  readonly seconds: number
}

/** For people: how much it was a second. */
export function printWork({ operations, seconds }: Work): string {
  return `${operations} in ${seconds.toFixed(2)} s, ${Math.round(operations / seconds)} a second`
}
