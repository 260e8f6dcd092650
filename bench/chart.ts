// The comparison as a small picture: throughput of each router as a share of the direct way, in groups of bars. Pure.

import type { Figures } from './summary.ts'

const WIDTH = 720
const LABEL = 150
const BAR = 12
const GAP = 14
const HEAD = 44
const RIGHT = 60
/** Readable on a white page and on a dark one. */
const COLORS: Readonly<Record<string, string>> = {
  haproxy: '#8a8f98',
  pgbouncer: '#c08a3e',
  pgherd: '#2f81f7',
  'pgherd, handles': '#1a9e6b',
  'pgherd, threads': '#a371f7',
}
const TEXT = '#6e7781'

/** What a picture calls the paths that it shows. */
export type Labels = Readonly<Record<string, string>>

/** For who compares: every path under its own name. */
const EVERY_PATH: Labels = Object.fromEntries(Object.keys(COLORS).map(name => [name, name]))
/** For who only wants to know: pgherd as it runs unless told otherwise. */
export const USUAL_PATHS: Labels = {
  haproxy: 'HAProxy',
  pgbouncer: 'pgbouncer',
  'pgherd, handles': 'pgherd',
}

/**
 * An SVG of all workloads that were measured directly and through a router, with the router's value divided by the direct one
 * (`toDirect`). Undefined when there is none, for example when only memory was measured.
 */
export function printChart(
  figures: readonly Figures[],
  title: string,
  labels: Labels = EVERY_PATH,
): string | undefined {
  const shown = figures.filter(({ path, toDirect }) => labels[path] !== undefined && isShare(toDirect))
  const workloads = [...new Set(shown.map(({ workload }) => workload))]
  if (workloads.length === 0) return undefined
  const largest = Math.max(1, ...shown.map(({ toDirect }) => toDirect ?? 0))
  const scale = (WIDTH - LABEL - RIGHT) / largest
  let y = HEAD
  const parts: string[] = []
  for (const workload of workloads) {
    const bars = shown.filter(figure => figure.workload === workload)
    const middle = y + (bars.length * BAR) / 2 + 4
    parts.push(text(LABEL - 8, middle, workload, 'end'))
    for (const { path, toDirect } of bars) {
      const width = (toDirect ?? 0) * scale
      parts.push(
        `<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" fill="${COLORS[path]}"><title>${escaped(labels[path] ?? path)}, ${escaped(workload)}</title></rect>`,
        text(LABEL + width + 4, y + BAR - 3, (toDirect ?? 0).toFixed(2), 'start'),
      )
      y += BAR
    }
    y += GAP
  }
  const direct = LABEL + scale
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="11" role="img" aria-label="${escaped(title)}">`,
    text(8, 16, title, 'start'),
    ...legend(labels),
    `<line x1="${direct.toFixed(1)}" y1="${HEAD - 6}" x2="${direct.toFixed(1)}" y2="${y - GAP}" stroke="${TEXT}" stroke-dasharray="2 3"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function isShare(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value > 0
}

function legend(labels: Labels): readonly string[] {
  return Object.entries(labels).flatMap(([path, label], index) => {
    const x = LABEL + index * 100
    return [
      `<rect x="${x}" y="24" width="10" height="10" fill="${COLORS[path]}"/>`,
      text(x + 14, 33, label, 'start'),
    ]
  })
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${TEXT}">${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
