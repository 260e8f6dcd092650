// A unified diff of two texts, as `diff -u` prints it without names. Pure.

const CONTEXT = 3
/** Beyond this the texts are compared line by line without looking for moved lines. */
const CELLS_MAX = 4_000_000

type Edit = { readonly kind: ' ' | '-' | '+'; readonly text: string }

/** Lines of the diff, without line ends; empty when the texts are the same. */
export function unifiedDiff(before: string, after: string): readonly string[] {
  const edits = compare(linesOf(before), linesOf(after))
  if (edits.every(edit => edit.kind === ' ')) return []
  return ['--- ', '+++ ', ...hunks(edits).flatMap(hunk => printHunk(edits, hunk))]
}

function linesOf(text: string): readonly string[] {
  return text.replace(/\n+$/, '').split('\n')
}

/** The shortest list of edits, by the longest common subsequence. */
function compare(before: readonly string[], after: readonly string[]): readonly Edit[] {
  const start = commonStart(before, after)
  const end = commonStart(before.slice(start).reverse(), after.slice(start).reverse())
  const same = (lines: readonly string[]) => lines.map((text): Edit => ({ kind: ' ', text }))
  return [
    ...same(before.slice(0, start)),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...same(before.slice(before.length - end)),
  ]
}

function commonStart(one: readonly string[], other: readonly string[]): number {
  let count = 0
  while (count < one.length && count < other.length && one[count] === other[count]) count += 1
  return count
}

function middle(before: readonly string[], after: readonly string[]): readonly Edit[] {
  const removed = before.map((text): Edit => ({ kind: '-', text }))
  const added = after.map((text): Edit => ({ kind: '+', text }))
  if (before.length * after.length > CELLS_MAX) return [...removed, ...added]
  const width = after.length + 1
  const lengths = new Uint32Array((before.length + 1) * width)
  const at = (row: number, column: number) => lengths[row * width + column] ?? 0
  for (let row = before.length - 1; row >= 0; row -= 1) {
    for (let column = after.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] =
        before[row] === after[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1))
    }
  }
  const edits: Edit[] = []
  let row = 0
  let column = 0
  while (row < before.length || column < after.length) {
    const isSame = row < before.length && column < after.length && before[row] === after[column]
    const takesOld =
      row < before.length && (column >= after.length || at(row + 1, column) >= at(row, column + 1))
    if (isSame) edits.push({ kind: ' ', text: before[row] ?? '' })
    else if (takesOld) edits.push({ kind: '-', text: before[row] ?? '' })
    else edits.push({ kind: '+', text: after[column] ?? '' })
    if (isSame || takesOld) row += 1
    if (isSame || !takesOld) column += 1
  }
  return edits
}

interface Hunk {
  readonly from: number
  readonly to: number
}

/** Changes with their surroundings; those that touch are one. */
function hunks(edits: readonly Edit[]): readonly Hunk[] {
  const found: Hunk[] = []
  for (const [index, edit] of edits.entries()) {
    if (edit.kind === ' ') continue
    const from = Math.max(0, index - CONTEXT)
    const to = Math.min(edits.length, index + CONTEXT + 1)
    const last = found.at(-1)
    if (last !== undefined && from <= last.to) found[found.length - 1] = { from: last.from, to }
    else found.push({ from, to })
  }
  return found
}

function printHunk(edits: readonly Edit[], { from, to }: Hunk): readonly string[] {
  const isOld = (edit: Edit) => edit.kind !== '+'
  const isNew = (edit: Edit) => edit.kind !== '-'
  const part = edits.slice(from, to)
  const range = (isIn: (edit: Edit) => boolean): string => {
    const start = edits.slice(0, from).filter(isIn).length
    const count = part.filter(isIn).length
    if (count === 1) return `${start + 1}`
    return `${count === 0 ? start : start + 1},${count}`
  }
  const heading = `@@ -${range(isOld)} +${range(isNew)} @@`
  return [heading, ...part.map(({ kind, text }) => `${kind}${text}`)]
}
