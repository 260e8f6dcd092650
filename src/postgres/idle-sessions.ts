// Ends the sessions of clients between their transactions, before a planned stop.

/**
 * One statement: ends client sessions that are idle outside of a transaction (not ours, not replication) and counts
 * those that are left. A session that began something between the look and the signal is ended in it: proxies stop
 * reading from idle clients first, so that this window stays empty behind them. They cannot see an encrypted session's
 * idleness: the one that was busy last, and will be so next, gets its signal first, while the look is still true.
 */
export const END_IDLE_SQL = `
  WITH clients AS MATERIALIZED (
    SELECT pid, state, state_change FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'pgherd'
  ), ended AS MATERIALIZED (
    SELECT pg_terminate_backend(pid) AS is_sent
    FROM (SELECT pid FROM clients WHERE state = 'idle' ORDER BY state_change DESC) AS busiest_first
  )
  SELECT (SELECT count(*) FROM clients WHERE state IS DISTINCT FROM 'idle') AS left_over,
         (SELECT count(*) FROM ended WHERE is_sent) AS ended`
