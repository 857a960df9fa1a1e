import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from './metrics.ts';

for (const times of [1, 199, 200, 401]) {
  test(`whoever reads finds all of ${times} requests, each once`, async () => {
    const metrics = createMetrics();
    for (let i = 0; i < times; i++) {
      metrics.answered('role.get', i % 2 === 0 ? 200 : 404);
      metrics.took('role.get', 0.002);
      metrics.decided(i % 2 === 0);
    }
    for (const reading of ['first', 'second']) {
      const text = await metrics.registry.metrics();
      const value = (line: string): number => Number(text.split('\n').find((one) => one.startsWith(`${line} `))?.slice(line.length) ?? 0);
      assert.equal(value('sallyport_requests_total{operation="role.get",status="200"}'), Math.ceil(times / 2), reading);
      assert.equal(value('sallyport_requests_total{operation="role.get",status="404"}'), Math.floor(times / 2), reading);
      assert.equal(value('sallyport_request_seconds_count{operation="role.get"}'), times, reading);
      assert.equal(value('sallyport_request_seconds_bucket{le="0.0025",operation="role.get"}'), times, reading);
      assert.equal(value('sallyport_decisions_total{outcome="allow"}'), Math.ceil(times / 2), reading);
    }
  });
}
