// Tables as operators know them from patronictl: `+`, `-` and `|`, a title over the start of the top border. Pure.

export interface Column {
  readonly title: string
  readonly align: 'left' | 'right'
}

export interface TableOptions {
  /** Written over the top border, right after its first character; cut when the table is narrower. */
  readonly title?: string
  /** A line between all rows; needed when cells have several lines. */
  readonly lined?: boolean
}

/** The table as text, each line ended. Cells may hold line breaks. */
export function printTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const cells = rows.map(row => columns.map((_, index) => (row[index] ?? '').split('\n')))
  const widths = columns.map((column, index) =>
    Math.max(textWidth(column.title), ...cells.flatMap(row => (row[index] ?? []).map(textWidth))),
  )
  const border = `+${widths.map(width => '-'.repeat(width + 2)).join('+')}+`
  const heading = printLine(
    columns.map(column => column.title),
    columns,
    widths,
  )
  const body = cells.map(row => printRow(row, columns, widths))
  const lines = [withTitle(border, options.title ?? ''), heading, border]
  lines.push(...(options.lined === true ? body.flatMap(row => [row, border]) : [...body, border]))
  return `${lines.join('\n')}\n`
}

function withTitle(border: string, title: string): string {
  const shown = title.slice(0, border.length - 2)
  return border.slice(0, 1) + shown + border.slice(1 + shown.length)
}

function printRow(
  row: readonly (readonly string[])[],
  columns: readonly Column[],
  widths: readonly number[],
): string {
  const height = Math.max(1, ...row.map(lines => lines.length))
  const lines = Array.from({ length: height }, (_, line) =>
    printLine(
      row.map(cell => cell[line] ?? ''),
      columns,
      widths,
    ),
  )
  return lines.join('\n')
}

function printLine(cells: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  const padded = columns.map((column, index) => {
    const text = cells[index] ?? ''
    const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - textWidth(text)))
    return column.align === 'right' ? ` ${space}${text} ` : ` ${text}${space} `
  })
  return `|${padded.join('|')}|`
}

/** Characters as a terminal counts them, near enough: wide East Asian ones take two columns. */
function textWidth(text: string): number {
  let width = 0
  for (const char of text) width += WIDE.test(char) ? 2 : 1
  return width
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u
