// `query` and `dsn`: SQL on a member of the cluster, and how to reach one. Connects past every proxy, with libpq's own
// variables and password file.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import pg from 'pg'
import type { Json } from '../cluster/json.ts'
import { hostPortOf, type Member } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { membersOf, type Role } from './choose.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { type Format, printObjects } from './formats.ts'
import { connectMember } from './query-connection.ts'
import { printTable } from './table.ts'
import { plainTime } from './time.ts'

/** Which member is meant: by name or by role. */
export interface WhichMember {
  readonly member: string | undefined
  readonly role: Role | undefined
}

export interface QueryOptions extends WhichMember {
  readonly command: string | undefined
  readonly file: string | undefined
  readonly format: Format
  readonly delimiter: string
  readonly username: string | undefined
  readonly database: string | undefined
  readonly askPassword: boolean
  readonly everySeconds: number | undefined
}

interface Result {
  /** Undefined for the row that tells an error. */
  readonly columns: readonly string[] | undefined
  readonly rows: readonly (readonly Json[])[]
}

/** Prints `host=... port=...` of the leader, of the named member, or of one with the role. */
export async function dsn(context: CtlContext, name: string | undefined, which: WhichMember): Promise<void> {
  const view = await readCluster(context, scopeOf(context, name))
  const member = pick(view, wanted(which))
  const address = hostPortOf(member?.connUrl)
  if (address === undefined) throw new UserError('Can not find a suitable member')
  context.terminal.print(`host=${address.host} port=${address.port}\n`)
}

/** Runs SQL on a member and prints the rows; an error of the server is a row, too. */
export async function query(
  context: CtlContext,
  name: string | undefined,
  options: QueryOptions,
): Promise<void> {
  const scope = scopeOf(context, name)
  const which = wanted(options)
  const sql = await sqlOf(options)
  const password = options.askPassword ? await context.terminal.secret('Password') : undefined
  for (;;) {
    const view = await readCluster(context, scope)
    const result = await run(context, pick(view, which), which, sql, { ...options, password })
    context.terminal.print(printResult(result, options))
    if (options.everySeconds === undefined) return
    const isOver = await context.clock.sleep(options.everySeconds * 1000, context.signal).then(
      () => false,
      () => true,
    )
    if (isOver) return
  }
}

interface Wanted {
  readonly role: Role
  readonly member: string | undefined
}

function wanted({ member, role }: WhichMember): Wanted {
  if (member !== undefined && role !== undefined) {
    throw new UserError('--role and --member are mutually exclusive options')
  }
  return { member, role: member === undefined ? (role ?? 'leader') : 'any' }
}

function pick(view: ClusterView, { role, member }: Wanted): Member | undefined {
  return membersOf(view, role).find(({ name }) => member === undefined || name === member)
}

async function sqlOf({ command, file }: QueryOptions): Promise<string> {
  if (file !== undefined && command !== undefined) {
    throw new UserError('--file and --command are mutually exclusive options')
  }
  if (command !== undefined) return command
  if (file === undefined) throw new UserError('You need to specify either --command or --file')
  return readFile(file === '-' ? '/dev/stdin' : file, 'utf8').catch((error: unknown) => {
    // As patronictl: a file that is not there is a wrong word.
    throw new UserError(`Can not read ${file}: ${messageOf(error)}`, 2)
  })
}

async function run(
  context: CtlContext,
  member: Member | undefined,
  { role, member: named }: Wanted,
  sql: string,
  options: QueryOptions & { readonly password: string | undefined },
): Promise<Result> {
  const address = hostPortOf(member?.connUrl)
  const nobody =
    named === undefined
      ? `No connection to role=${role} is available`
      : `No connection to member ${named} is available`
  if (address === undefined) return errorRow(context, nobody)
  let client: pg.Client | undefined
  try {
    client = await connectMember(address, options, {
      env: process.env,
      home: homedir(),
      clock: context.clock,
    })
    if (!(await hasRole(client, role))) return errorRow(context, nobody)
    return await rowsOf(client, sql)
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? error.code : undefined
    return errorRow(context, `ERROR, SQLSTATE: ${code ?? messageOf(error).replaceAll('\n', ' ')}`)
  } finally {
    await client?.end().catch(() => {})
  }
}

function errorRow({ clock, noteRefusal }: CtlContext, text: string): Result {
  noteRefusal()
  return { columns: undefined, rows: [[plainTime(clock.wallMs()), text]] }
}

/** A member's server may have another role by now than its key says. */
async function hasRole(client: pg.Client, role: Role): Promise<boolean> {
  if (role === 'any' || role === 'leader') return true
  const { rows } = await client.query<{ is: string }>('SELECT pg_catalog.pg_is_in_recovery() AS is')
  const isStandby = rows[0]?.is === 't'
  return isStandby === ['replica', 'standby', 'standby-leader'].includes(role)
}

async function rowsOf(client: pg.Client, sql: string): Promise<Result> {
  const answer: unknown = await client.query({ text: sql, rowMode: 'array' })
  const last = (Array.isArray(answer) ? answer.at(-1) : answer) as pg.QueryArrayResult
  if (last.fields.length === 0) throw new Error('no results to fetch')
  return {
    columns: last.fields.map(({ name }) => name),
    rows: last.rows.map(row =>
      row.map((value: string | null, index) => typed(value, last.fields[index]?.dataTypeID ?? 0)),
    ),
  }
}

const BOOLEAN = 16
const NUMBERS: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701])
const WITH_ZONE = 1184

/** Values as the formats for programs need them; whatever has no type of its own stays PostgreSQL's text. */
function typed(value: string | null, type: number): Json {
  if (value === null) return null
  if (type === BOOLEAN) return value === 't'
  if (type === WITH_ZONE) return value.replace(/([+-]\d\d)$/, '$1:00')
  if (!NUMBERS.has(type)) return value
  if (/^-?\d+$/.test(value)) return BigInt(value)
  const number = Number(value)
  return Number.isFinite(number) ? number : value
}

function printResult({ columns, rows }: Result, { format, delimiter }: QueryOptions): string {
  const text = (value: Json): string =>
    value === null ? 'None' : value === true ? 'True' : value === false ? 'False' : String(value)
  if (format === 'tsv') {
    const lines = columns === undefined ? rows : [columns, ...rows]
    return lines.map(row => `${row.map(text).join(delimiter)}\n`).join('')
  }
  if (format === 'pretty') {
    const titles = columns ?? (rows[0] ?? []).map((_value, index) => `Field ${index + 1}`)
    return printTable(
      titles.map(title => ({ title, align: 'left' })),
      rows.map(row => row.map(text)),
    )
  }
  const objects = rows.map(row =>
    Object.fromEntries((columns ?? []).map((name, index) => [name, row[index] ?? null])),
  )
  return printObjects(format, objects)
}
