// The replication slot that belongs to a member. Every member must compute the same name.

const NAME_LENGTH_MAX = 63

/** The slot name of a member: lower case; `-` and `.` become `_`, other characters `u` plus four digits of their code. */
export function slotNameOf(member: string): string {
  let name = ''
  for (const char of member.toLowerCase()) {
    if (/[a-z0-9_]/.test(char)) name += char
    else if (char === '-' || char === '.') name += '_'
    else name += `u${String(char.codePointAt(0)).padStart(4, '0')}`
  }
  return name.slice(0, NAME_LENGTH_MAX)
}
