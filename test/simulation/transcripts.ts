// Where the transcripts are, and writing them anew.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Story, stories, tell } from './stories.ts'

function fileOf({ name }: Story): string {
  return fileURLToPath(new URL(`./transcripts/${name}.txt`, import.meta.url))
}

/** The transcript as it was reviewed; empty when there is none. */
export function reviewed(story: Story): string {
  try {
    return readFileSync(fileOf(story), 'utf8')
  } catch {
    return ''
  }
}

/** Tells all stories again and writes what changed. Returns the names of the changed ones. */
export async function rewrite(): Promise<readonly string[]> {
  const changed: string[] = []
  for (const story of stories) {
    const transcript = await tell(story)
    if (transcript === reviewed(story)) continue
    writeFileSync(fileOf(story), transcript)
    changed.push(story.name)
  }
  return changed
}
