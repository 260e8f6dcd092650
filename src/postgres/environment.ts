// The environment that PostgreSQL and its tools get. Our own settings and secrets never leave with it.

const OURS = /^(PATRONI_|PGHERD_|KUBERNETES_|NOTIFY_SOCKET$)/

/** What a server inherits: everything but our own variables (passwords among them) and systemd's socket. */
export function serverEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OURS.test(name)))
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
