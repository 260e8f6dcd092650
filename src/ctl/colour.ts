// Colours for tables on a screen: what is good, what is under way, what is broken. Put on after the layout, so that widths
// stay what they are. Pure.

const ESCAPE = '\u001b['
const RESET = `${ESCAPE}0m`
const GREEN = `${ESCAPE}32m`
const YELLOW = `${ESCAPE}33m`
const RED = `${ESCAPE}31m`
const BOLD = `${ESCAPE}1m`

const words: Readonly<Record<string, string>> = {
  Leader: BOLD,
  'Standby Leader': BOLD,
  running: GREEN,
  streaming: GREEN,
  'in archive recovery': YELLOW,
  starting: YELLOW,
  stopping: YELLOW,
  restarting: YELLOW,
  'creating replica': YELLOW,
  'initializing new cluster': YELLOW,
  stopped: RED,
  crashed: RED,
  'start failed': RED,
  'restart failed': RED,
  'stop failed': RED,
  unknown: RED,
  '*': YELLOW,
}

/** The text with cells of tables, and the line of a pause, coloured. */
export function colourTables(text: string): string {
  return text
    .split('\n')
    .map(line => {
      if (line === ' Maintenance mode: on') return `${YELLOW}${line}${RESET}`
      return line.startsWith('|') ? line.split('|').map(colourCell).join('|') : line
    })
    .join('\n')
}

function colourCell(cell: string): string {
  const word = cell.trim()
  const colour = words[word]
  return colour === undefined ? cell : cell.replace(word, () => `${colour}${word}${RESET}`)
}
