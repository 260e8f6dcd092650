// The environment that PostgreSQL and its tools get. Our own settings and secrets never leave with it.

const OURS = /^(PATRONI_|PGHERD_|KUBERNETES_|NOTIFY_SOCKET$)/

/** What a server inherits: everything but our own variables (passwords among them) and systemd's socket. */
export function serverEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OURS.test(name)))
}

/**
 * What a postmaster inherits: like any server, with the number of glibc's memory arenas that PG_MALLOC_ARENA_MAX gives to
 * PostgreSQL alone; ours may have another one.
 */
export function postmasterEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const { PG_MALLOC_ARENA_MAX: arenas, ...others } = serverEnvironment(env)
  return arenas === undefined || arenas === '' ? others : { ...others, MALLOC_ARENA_MAX: arenas }
}

/**
 * What a tool inherits: like a server, but it speaks English, because we read what it prints, and takes no connection
 * settings that happen to be in our environment.
 */
export function toolEnvironment(
  extra: Readonly<Record<string, string>> = {},
  env: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const kept = Object.entries(serverEnvironment(env)).filter(
    ([name]) => !name.startsWith('PG') && !name.startsWith('LC_') && name !== 'LANGUAGE',
  )
  return { ...Object.fromEntries(kept), LC_ALL: 'C', ...extra }
}
