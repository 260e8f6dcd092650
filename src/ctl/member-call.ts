// One call to one member, and how its answer is told.

import type { Json } from '../cluster/json.ts'
import type { Member } from '../cluster/member.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { CtlContext, RestAnswer } from './context.ts'

const CALL_MS = 30_000

/** Asks a member; a member that does not answer is the code 0 with the reason as its text. */
export async function callMember(
  { callMember: call, clock }: CtlContext,
  member: Pick<Member, 'name' | 'apiUrl'>,
  method: Parameters<CtlContext['callMember']>[0],
  endpoint: string,
  body: Json | undefined,
  withinMs: number = CALL_MS,
): Promise<RestAnswer> {
  if (member.apiUrl === undefined) return { code: 0, text: 'the member tells no REST address' }
  try {
    return await call(method, member.apiUrl, endpoint, body, Deadline.in(clock, withinMs))
  } catch (error) {
    return { code: 0, text: messageOf(error) }
  }
}

/** Prints `Success: ...` or `Failed: ...`; a failure counts for --strict. */
export function tellAnswer(context: CtlContext, answer: RestAnswer, name: string, action: string): boolean {
  const isGood = answer.code >= 200 && answer.code < 400
  if (isGood) context.terminal.print(`Success: ${action} for member ${name}\n`)
  else tellFailure(context, answer, name, action)
  return isGood
}

export function tellFailure(
  context: CtlContext,
  { code, text }: RestAnswer,
  name: string,
  action: string,
): void {
  context.terminal.print(`Failed: ${action} for member ${name}, status code=${code}, (${text})\n`)
  context.noteRefusal()
}
