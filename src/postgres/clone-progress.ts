// How far a copy is, from what pg_basebackup --progress says each second. Pure.

/** Bytes of the data directory; `totalBytes` is an estimate and grows when there is more. */
export interface CloneProgress {
  readonly doneBytes: number
  /** Undefined when the source did not estimate it. */
  readonly totalBytes: number | undefined
}

const LINE = /(\d+)\/(\d+) kB \(\d+%\)[^\r\n]*/g

/** The latest word in a piece of output; undefined when there is none. */
export function readProgress(text: string): CloneProgress | undefined {
  const match = [...text.matchAll(LINE)].at(-1)
  if (match === null || match === undefined) return undefined
  const [done, total] = [Number(match[1]) * 1024, Number(match[2]) * 1024]
  return { doneBytes: done, totalBytes: total > 0 ? Math.max(total, done) : undefined }
}

/** What is left of the output for a person. */
export function withoutProgress(text: string): string {
  return text
    .replace(LINE, '')
    .replace(/[\r\n]+\s*/g, '\n')
    .trim()
}
