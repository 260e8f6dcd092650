// The texts that a test file may use as names: string and template literals of its own, of its neighbours, and of test/support.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

const STRING = /'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"/g
const TEMPLATE = /`((?:\\.|[^`\\])*)`/g
const IMPORT = /from '(\.(?:\/|\.\/support\/)[^']+\.ts)'/g
/** Fewer fixed letters than this could be any sentence. */
const FIXED_LETTERS_MIN = 8

/** Whether `file`, or a file beside it or in test/support that it imports, has a literal that can be this test name. */
export function mayName(file: string, name: string): boolean {
  const sources = [file, ...neighbours(file)].map(source => readFileSync(source, 'utf8'))
  return sources.some(source => hasString(source, name) || hasTemplate(source, name))
}

function neighbours(file: string): readonly string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)]
    .map(match => path.resolve(path.dirname(file), match[1] ?? ''))
    .filter(existsSync)
}

function hasString(source: string, name: string): boolean {
  return [...source.matchAll(STRING)].some(match => unescaped(match[1] ?? match[2] ?? '') === name)
}

function hasTemplate(source: string, name: string): boolean {
  return [...source.matchAll(TEMPLATE)].some(match => {
    const fixed = unescaped(match[1] ?? '').split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
    if (fixed.join('').length < FIXED_LETTERS_MIN) return false
    return new RegExp(`^${fixed.map(escaped).join('.*')}$`, 's').test(name)
  })
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, '$1')
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
