// The program's own version, read once at start from the package it came in.

import { readFileSync } from 'node:fs'

const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')

/** As in package.json, for example `0.1.0`. */
export const version: string = (JSON.parse(manifest) as { version: string }).version
