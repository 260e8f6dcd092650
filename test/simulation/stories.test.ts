import assert from 'node:assert/strict'
import test from 'node:test'
import { stories, tell } from './stories.ts'
import { reviewed } from './transcripts.ts'

for (const story of stories) {
  test(`the story "${story.name}" goes as its transcript says`, async () => {
    const transcript = await tell(story)
    const hint = 'if the change is meant: npm run sim -- --transcripts, and review the diff'
    assert.equal(transcript, reviewed(story), hint)
  })
}
