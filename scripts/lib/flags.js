// The command lines of the scripts. Unknown flags are refused: a mistyped one must not run something else.

import { SetupError } from './say.js'

/**
 * @typedef {object} Flags
 * @property {Readonly<Record<string, string | true>>} values flag names without dashes; `true` for a switch
 * @property {readonly string[]} rest everything that is not a flag
 */

/**
 * Splits arguments into flags and the rest. `spec` names the known flags: 'switch' takes no value, 'value' takes the next
 * argument or what follows `=`. With `passOn`, the first unknown argument ends the parsing and goes to `rest` with all after it.
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, 'switch' | 'value'>>} spec
 * @param {{ passOn?: boolean }} [options]
 * @returns {Flags}
 */
export function parseFlags(args, spec, options = {}) {
  /** @type {Record<string, string | true>} */
  const values = {}
  /** @type {string[]} */
  const rest = []
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? ''
    const [name = '', inline] = arg.startsWith('--') ? splitOnce(arg.slice(2)) : ['']
    const kind = name === '' ? undefined : spec[name]
    if (kind === undefined) {
      if (options.passOn === true) return { values, rest: args.slice(index) }
      if (arg.startsWith('-')) throw new SetupError(unknownFlag(arg, spec))
      rest.push(arg)
    } else if (kind === 'switch') {
      values[name] = true
    } else {
      const value = inline ?? args[++index]
      if (value === undefined) throw new SetupError(`--${name} needs a value`)
      values[name] = value
    }
  }
  return { values, rest }
}

/**
 * @param {string} text
 * @returns {[string, string?]}
 */
function splitOnce(text) {
  const at = text.indexOf('=')
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

/**
 * @param {string} arg
 * @param {Readonly<Record<string, string>>} spec
 */
function unknownFlag(arg, spec) {
  const known = Object.keys(spec).map(name => `--${name}`)
  return `unknown option ${arg}; known are ${known.join(', ')}`
}
