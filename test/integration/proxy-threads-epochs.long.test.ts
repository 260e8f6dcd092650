// The built program with two worker threads in front of real servers: the tests of epochs and of routing once more.

process.env['PGHERD_TEST_THREADS'] = '2'
await import('./proxy-epochs.test.ts')
await import('./proxy-routing.test.ts')
