// YAML as people give it on the command line and in files.

import type { Json } from '../cluster/json.ts'
import { parseYamlMapping, parseYamlValue } from '../config/agent/yaml.ts'

/** One value by the rules of YAML 1.1; undefined when it is no YAML. */
export function readYamlValue(text: string): Json | undefined {
  return text.trim() === '' ? null : parseYamlValue(text)
}

/** A mapping; throws UserError that names the place of a mistake. */
export function readYamlMapping(text: string, file: string): { readonly [key: string]: Json } {
  return parseYamlMapping(text, file).value
}
